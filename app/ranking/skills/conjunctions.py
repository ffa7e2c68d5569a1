""" "Python and SQL" is two skills, "health and safety" is one."""

import re
from itertools import pairwise

from app.ranking.skills.words import ADJECTIVES, PAIRS, SHARED_HEADS

AND = re.compile(r"\s+(?:and|&)\s+", re.IGNORECASE)

# Two consecutive activities or qualities are usually one phrase, not two skills.
ABSTRACT = re.compile(
    r"(?:ing|sign|ment|tion|sion|ance|ence|ness|ity|ship|ysis|ure|gy|is[ei]|al|ive)$",
    re.IGNORECASE,
)
INITIALS = re.compile(r"[A-Z]{1,2} & [A-Z]")  # "R & D", "AT & T"
ENDS = "\"'“”*.,;:"


def split_at_and(item: str, *, ends_list: bool) -> list[str]:
    """Split an item at "and", unless it is one skill.

    `ends_list`: the item is the last one, after a comma.

    >>> split_at_and("Python and SQL", ends_list=False)
    ['Python', 'SQL']
    >>> split_at_and("health & safety", ends_list=True)
    ['health & safety']
    """
    parts = AND.split(item)
    if len(parts) == 1 or INITIALS.fullmatch(item) or not all(map(_is_closed, parts)):
        return [item]
    words = [part.split() for part in parts]
    if any(_is_pair(left[-1], right[0]) for left, right in pairwise(words)):
        return [item]
    if all(len(of_part) == 1 for of_part in words):
        together = _is_one_term(parts, ends_list=ends_list)
    else:
        together = not _are_parallel(words, ends_list=ends_list)
    return [item] if together else parts


def _is_closed(part: str) -> bool:
    return all(
        part.count(opened) == part.count(closed) for opened, closed in ("()", "[]")
    )


def _is_pair(left: str, right: str) -> bool:
    return f"{left.strip(ENDS)}/{right.strip(ENDS)}".casefold() in PAIRS


def _is_one_term(parts: list[str], *, ends_list: bool) -> bool:
    plain = [part.strip(ENDS).casefold() for part in parts]
    if not all(any(map(str.isalnum, part)) for part in plain):
        return True
    if all(part[0].isdecimal() for part in plain):
        return True  # "10 & 11" are versions of the preceding word
    return not ends_list and all(map(ABSTRACT.search, plain))


def _are_parallel(words: list[list[str]], *, ends_list: bool) -> bool:
    """Two words each, one of them the same: "machine learning and deep learning".

    At the end of a list also different ones, unless the last belongs to both.
    """
    if len(words) != 2 or any(len(of_part) != 2 for of_part in words):  # noqa: PLR2004
        return False
    (first, left), (second, right) = ([w.casefold() for w in part] for part in words)
    if first in ADJECTIVES:
        return False
    return first == second or left == right or (ends_list and right not in SHARED_HEADS)
