"""Detect short forms by their initials, without a list."""

import re

# Two letters are ambiguous: they need a list with contexts.
LEAST_LETTERS = 3
MOST_LETTERS = 6
SMALL_WORDS = frozenset({"a", "and", "as", "by", "for", "in", "of", "on", "the", "to"})
SHORT = re.compile(rf"[a-z]{{{LEAST_LETTERS},{MOST_LETTERS}}}")
PART = re.compile(r"[^\W_]+")


def is_short_form(short: str, long: str) -> bool:
    """Whether the letters of one key are the initials of the other's words.

    Small words are optional, a plural "s" is ignored, and "ex" may stand for an x.

    >>> is_short_form("erp", "enterprise resource planning")
    True
    """
    parts: list[str] = PART.findall(long)
    if not SHORT.fullmatch(short):
        return False
    spelled = {
        _initials(parts),
        _initials([part for part in parts if part not in SMALL_WORDS]),
    }
    options = {short}
    if short.endswith("s") and len(short) > LEAST_LETTERS:
        options.add(short[:-1])
    return bool(spelled & options) or short == _initials(parts, ex="x")


def same_by_initials(one: str, other: str) -> bool:
    """As `is_short_form`, in either direction."""
    return is_short_form(one, other) or is_short_form(other, one)


def _initials(parts: list[str], *, ex: str = "e") -> str:
    return "".join(ex if part.startswith("ex") else part[0] for part in parts)
