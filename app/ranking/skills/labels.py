"""Labels before skills ("Technical skills:"), detected by their words."""

import re

from app.ranking.skills.words import BESIDE_LABELS, HEADINGS, LABELS

# The end of a label, searched in the first characters only.
END = re.compile(r"[:：]|\s[-–—]+(?=\s|$)")  # noqa: RUF001
MAX_LABEL_CHARS = 60
BEGUN = re.compile(r"[\[{\"']")  # a literal, in which labels are keys
LABEL_WORD = re.compile(r"[^\W\d_]+")
# A label after the end of a sentence: "Python. Tools: Git".
LATER = re.compile(r"(?<=[.!?])\s+(?=([^.:：,;!?]{1,60})[:：]\s)")  # noqa: RUF001


def without_label(item: str) -> str:
    """The item without the label before it.

    >>> without_label("Technical Skills: Python"), without_label("Tools - Git")
    ('Python', 'Git')
    >>> without_label("AWS: Lambda"), without_label("Tools")
    ('AWS: Lambda', 'Tools')
    """
    found = END.search(item, 0, MAX_LABEL_CHARS)
    if found and is_label(item[: found.start()]):
        return item[found.end() :].lstrip("*_ \t\n")
    return item


def is_label(text: str) -> bool:
    """Whether a text consists of words of labels only."""
    words = [] if BEGUN.search(text) else LABEL_WORD.findall(text.casefold())
    return not LABELS.isdisjoint(words) and BESIDE_LABELS.issuperset(words)


def is_heading(text: str) -> bool:
    """Whether a line is the heading of the list below it, even without a colon."""
    return is_label(text) and not HEADINGS.isdisjoint(
        LABEL_WORD.findall(text.casefold())
    )


def split_at_labels(line: str) -> list[str]:
    """The parts of a line, each with its own label."""
    pieces = []
    start = 0
    for found in LATER.finditer(line):
        if is_label(found[1]):
            pieces.append(line[start : found.start()])
            start = found.end()
    return [*pieces, line[start:]]
