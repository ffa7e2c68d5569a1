"""Split a skills text into skills."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.ranking.skills.conjunctions import split_at_and
from app.ranking.skills.labels import is_heading, split_at_labels, without_label
from app.ranking.skills.listing import Item, bulleted, items_of, lines_of, numbered
from app.ranking.skills.literals import read_list
from app.ranking.skills.markup import plain_text
from app.ranking.skills.trim import trimmed

# Increase it with every change of the splitting or of synonyms.csv, so that stored ids
# of earlier versions are replaced; tests compare it with both.
SPLIT_VERSION = 5

# A longer item is prose. MiniLM reads at most 256 word pieces, about this much text.
MAX_SKILL_CHARS = 200
# The longest real list, the technologies of one O*NET occupation, is shorter.
MAX_SKILLS = 512

SLASHED = re.compile(r"[^\s/()]+(?:/[^\s/()]+)+")
# Pairs of words that are one term. Shorter ones (C/C++, CI/CD, TCP/IP, PL/SQL, I/O) are
# detected by their length.
ONE_TERM = frozenset({"client/server", "gnu/linux", "input/output", "read/write"})
NOT_A_SKILL = frozenset(
    {"", "etc", "and", "or", "n/a", "n.a", "na", "nan", "nil", "none", "null"}
    | {"undefined", "not applicable", "not available"}
)

# Zero-width and direction marks have no meaning. A joiner inside a word may, but the
# model drops all of them.
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")


@dataclass(frozen=True)
class Skill:
    """A skill: `name` as written, `key` as compared, stored and embedded."""

    name: str
    key: str


def split_skills(text: str) -> list[Skill]:
    """The distinct skills of a text in order, at most MAX_SKILLS.

    Separators inside parentheses are ignored. A text without separators is one skill. A
    skill is truncated at MAX_SKILL_CHARS.

    >>> [skill.name for skill in split_skills("C/C++, Cloud (AWS, Azure); Java/Scala")]
    ['C/C++', 'Cloud (AWS, Azure)', 'Java', 'Scala']
    >>> [skill.name for skill in split_skills("['Python', 'SQL and R (basic)']")]
    ['Python', 'SQL', 'R']
    """
    found: dict[str, Skill] = {}
    for item in _items(INVISIBLE.sub("", plain_text(text))):
        for name in _names(item):
            key = skill_key(name)
            if _is_skill(key):
                found.setdefault(key, Skill(name, key))
            if len(found) == MAX_SKILLS:
                return list(found.values())
    return list(found.values())


def with_title(skills: Sequence[Skill], title: str | None) -> list[Skill]:
    """The skills of a job, and its title as one more behind them.

    Not split: "Nurse, Night Shift" is no skill "Nurse" of every night shift.

    >>> [skill.name for skill in with_title(split_skills("forklift"), " Truck driver ")]
    ['forklift', 'Truck driver']
    """
    name = " ".join((title or "").split())[:MAX_SKILL_CHARS].rstrip()
    key = skill_key(name)
    if not _is_skill(key) or any(skill.key == key for skill in skills):
        return list(skills)
    return [*skills, Skill(name, key)]


def _is_skill(key: str) -> bool:
    return key not in NOT_A_SKILL and any(map(str.isalnum, key))


def skill_key(name: str) -> str:
    """The key of a skill: compatibility-normalized, case-folded, single spaces.

    Idempotent.
    """
    key = name
    # Folding can undo normalization, and normalizing can produce capitals: repeat.
    while (folded := _folded(key)) != key:
        key = folded
    return key


def _folded(name: str) -> str:
    visible = INVISIBLE.sub("", unicodedata.normalize("NFKC", name).replace("\0", " "))
    folded = unicodedata.normalize("NFKC", visible.casefold())
    return " ".join(folded.split())[:MAX_SKILL_CHARS]


def _items(text: str) -> Iterator[Item]:
    """The items of a text: line by line, or those of a literal list."""
    for part in _written(text):
        lines = lines_of(part)
        if len(lines) > 1 and is_heading(lines[0]):
            del lines[0]
        is_list = len(lines) == 1
        for line in lines:
            for listed in _written(line):
                for piece in bulleted(listed) if is_list else [listed]:
                    for labelled in split_at_labels(piece):
                        for numbers in numbered(labelled):
                            yield from items_of(numbers)


def _written(text: str) -> list[str]:
    """The items of a literal list, with a label before it; or the text."""
    items = read_list(without_label(text))
    return [text] if items is None else items


def _names(item: Item) -> Iterator[str]:
    """The skills of an item: more than one behind "and" and slashes."""
    text = trimmed(item.text)
    for part in split_at_and(text, ends_list=item.ends_list):
        for name in _slash_parts(part if part is text else trimmed(part)):
            whole = name if name is text else trimmed(name)
            yield whole[:MAX_SKILL_CHARS].rstrip()


def _slash_parts(item: str) -> list[str]:
    """The item, or its words where slashes separate: "Java/Scala" but not "CI/CD".

    A slash inside a phrase ("network/system administration") joins alternatives of
    one skill.
    """
    if not SLASHED.fullmatch(item) or item.casefold() in ONE_TERM:
        return [item]
    words = item.split("/")
    least = 3 if len(words) == 2 else 2  # noqa: PLR2004  ("HTML/CSS/JS" is a list)
    separate = all(len(w) >= least and any(map(str.isalpha, w)) for w in words)
    return words if separate else [item]
