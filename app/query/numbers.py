"""Integers in JSON, whose numbers JavaScript and others read as doubles."""

from typing import TypeVar

T = TypeVar("T")

# JavaScript's safe integers: each has a double of its own, and no neighbour shares it.
SAFE = range(-(2**53) + 1, 2**53)


def exact(value: T) -> T | str:
    """What an answer holds of a value: an integer that is not safe becomes a string.

    >>> exact(2**53 - 1), exact(2**53), exact("a")
    (9007199254740991, '9007199254740992', 'a')
    """
    return str(value) if isinstance(value, int) and value not in SAFE else value
