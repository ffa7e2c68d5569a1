"""A skills text to its skills. It knows separators, not skills."""

# ruff: noqa: RUF001  (full-width separators look like ASCII ones, and are not)

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

# A longer one is prose; MiniLM sees 256 word pieces at most, about this much text.
MAX_SKILL_CHARS = 200
# The longest real list, all technologies of one O*NET occupation, has fewer.
MAX_SKILLS = 512

OPENING, CLOSING = "([{（［", ")]}）］"

# Commas and their kin of other scripts, bullets, tabs, and every line break that
# Unicode knows. A comma between digits groups thousands; a hyphen or an asterisk
# before a space is a bullet at the start of an item only, see MARKER.
SEPARATOR = re.compile(
    r"(?<!\d),|,(?!\d{3}(?!\d))"
    r"|[;|\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029、，；؛،｜•●▪◦‣∙■□◆➢►✓✔]"
    r"|\s/\s"
)
MARKER = re.compile(
    r"^(?:[-*–—·+>]\s+|\(?\d{1,2}[.)]\s+|(?:and|or|&)\s+)+", re.IGNORECASE
)
TRAILING = " \t.:;,·-–—"
SLASHED = re.compile(r"[^\s/()]+(?:/[^\s/()]+)+")

# Single words that mean one thing together. Shorter ones (C/C++, CI/CD, TCP/IP,
# PL/SQL, I/O) are told by their length.
ONE_TERM = frozenset({"client/server", "gnu/linux", "input/output", "read/write"})
NOT_A_SKILL = frozenset({"", "etc", "and", "or", "n/a", "none"})

# Zero-width and direction marks carry no meaning; a joiner inside a word may, but
# the model drops all of them alike.
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")


@dataclass(frozen=True)
class Skill:
    """`name` as it was written, `key` as it is compared, stored and embedded."""

    name: str
    key: str


def split_skills(text: str) -> list[Skill]:
    """The skills of a text in their order, each once, at most MAX_SKILLS.

    Separators inside parentheses do not separate. A text without separators is one
    skill; one longer than MAX_SKILL_CHARS is cut there.

    >>> [skill.name for skill in split_skills("C/C++, Cloud (AWS, Azure); Java/Scala")]
    ['C/C++', 'Cloud (AWS, Azure)', 'Java', 'Scala']
    """
    found: dict[str, Skill] = {}
    for item in _items(text):
        name = _trimmed(item)
        key = skill_key(name)
        if key not in NOT_A_SKILL and any(map(str.isalnum, key)):
            found.setdefault(key, Skill(name, key))
        if len(found) == MAX_SKILLS:
            break
    return list(found.values())


def skill_key(name: str) -> str:
    """The identity of a skill: compatibility-normalised, case-folded, single spaces.

    Applying it twice changes nothing.
    """
    key = name
    # Folding can undo normalisation, and normalising can give capitals: to the end.
    while (folded := _folded(key)) != key:
        key = folded
    return key


def _folded(name: str) -> str:
    visible = INVISIBLE.sub("", unicodedata.normalize("NFKC", name).replace("\0", " "))
    folded = unicodedata.normalize("NFKC", visible.casefold())
    return " ".join(folded.split())[:MAX_SKILL_CHARS].rstrip()


def _items(text: str) -> Iterator[str]:
    protected = _inside_parentheses(text)
    start = 0
    for match in SEPARATOR.finditer(text):
        if not protected[match.start()]:
            yield from _parts(text[start : match.start()])
            start = match.end()
    yield from _parts(text[start:])


def _parts(item: str) -> list[str]:
    """The item, or its words where slashes separate: "Java/Scala" but not "CI/CD".

    A slash inside a phrase ("network/system administration") joins alternatives of
    one skill.
    """
    item = item.strip()
    if not SLASHED.fullmatch(item) or item.casefold() in ONE_TERM:
        return [item]
    words = item.split("/")
    least = 3 if len(words) == 2 else 2  # noqa: PLR2004  ("HTML/CSS/JS" is a list)
    separate = all(len(w) >= least and any(map(str.isalpha, w)) for w in words)
    return words if separate else [item]


def _inside_parentheses(text: str) -> list[bool]:
    """True for each character between parentheses that are closed again."""
    depth = [0] * (len(text) + 1)
    opened: list[int] = []
    for position, character in enumerate(text):
        if character in OPENING:
            opened.append(position)
        elif character in CLOSING and opened:
            # One never closed protects nothing; what is nested in it still does.
            depth[opened.pop()] += 1
            depth[position] -= 1
    return [level > 0 for level in accumulate(depth)]


def _trimmed(item: str) -> str:
    item = MARKER.sub("", INVISIBLE.sub("", item).strip())
    return item.rstrip(TRAILING)[:MAX_SKILL_CHARS].rstrip()
