"""Levels and years of experience, which are not part of a skill."""

import re

from app.ranking.skills.words import BESIDE_LEVELS, LEVELS, TIME_UNITS, VAGUE_LEVELS

KNOWN = LEVELS | BESIDE_LEVELS | TIME_UNITS
GRADES = frozenset({"level", "niveau", "nivel", "stufe"})
LEVEL_WORD = re.compile(r"[^\W\d_]+|\d+")
AMOUNT = re.compile(r"\d{1,3}\s?%|\d{1,3}\s?/\s?(?:5|10|100)")
# The Common European Framework's levels of a language.
CEFR = re.compile(r"(?<!\w)[ABC][12]\+?(?!\w)")

BRACKETED = re.compile(r"\s*[(\[（]([^()\[\]（）]{1,60})[)\]）]$")  # noqa: RUF001
DASHED = re.compile(r"(?:\s+[-–—]+\s*|\s*[:：=]\s*|\s+[-–—])([^-–—:：=]{1,60})$")  # noqa: RUF001
# Without a dash, only with a number: "Python 5+ years", "SQL 80 %".
BARE = re.compile(
    r"\s+((?:(?:over|with|at\s+least|min\.?|minimum|approx\.?)\s+)?\d[^()]{0,40})$",
    re.IGNORECASE,
)
MAX_BARE_WORDS = 3
BEFORE = re.compile(
    r"^(?:(?:at\s+least|min\.?|minimum(?:\s+of)?|over)\s+)?\d{1,2}\+?\s*"
    r"(?:(?:-|–|to)\s*\d{1,2}\+?\s*)?(?:years?|yrs?|months?)\b['’]?\+?\s+"  # noqa: RUF001
    r"(?:of\s+)?(?:(?:hands-on\s+|work(?:ing)?\s+)?(?:experience|exp\.?)\s+)?"
    r"(?:(?:with|in|of|using)\s+)?(?=\S)",
    re.IGNORECASE,
)


def without_level(item: str) -> str:
    """The item without a level after it, or years of experience before it.

    >>> without_level("Python (advanced)"), without_level("SQL - 5+ years")
    ('Python', 'SQL')
    >>> without_level("Windows 10"), without_level("Excel (2016)")
    ('Windows 10', 'Excel (2016)')
    """
    for pattern in (BRACKETED, DASHED, BARE):
        found = pattern.search(item)
        if found and is_level(found[1], bare=pattern is BARE):
            skill = item[: found.start()]
            # Prose has no dash: "travel across the state up to 50%".
            if pattern is not BARE or len(skill.split()) <= MAX_BARE_WORDS:
                return skill
    return BEFORE.sub("", item)


def is_level(text: str, *, bare: bool = False) -> bool:
    """Whether a text is only a level; `bare`: a number counts as a level."""
    rest, amounts = AMOUNT.subn(" ", text)
    rest, cefr = CEFR.subn(" ", rest)
    words = LEVEL_WORD.findall(rest.casefold())
    numbers = [word for word in words if word.isdecimal()]
    units = [word for word in words if word in TIME_UNITS]
    if not all(word in KNOWN or word.isdecimal() for word in words):
        return False
    if numbers and not units:
        # "level 3": the number is the level's.
        return not bare and len(words) == 2 and words[0] in GRADES  # noqa: PLR2004
    if bare:
        return bool(amounts or units)
    return bool(amounts or cefr or (numbers and units) or LEVELS.intersection(words))


def is_level_alone(text: str) -> bool:
    """Whether a whole item is a level: "advanced", "5+ years", but not "basic"."""
    words = set(LEVEL_WORD.findall(text.casefold()))
    return (
        is_level(text)
        and not words <= VAGUE_LEVELS | BESIDE_LEVELS
        and not CEFR.search(text)
    )
