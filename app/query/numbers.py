"""Integers in JSON, whose numbers JavaScript and others read as doubles."""

from typing import TypeVar

JsonValue = TypeVar("JsonValue")

# Beyond this a float no longer tells neighbouring integers apart.
EXACT_IN_A_FLOAT = 2**53
# JavaScript's safe integers: each has a double of its own, and no neighbour shares it.
SAFE = range(-EXACT_IN_A_FLOAT + 1, EXACT_IN_A_FLOAT)


def exact(value: JsonValue) -> JsonValue | str:
    """What an answer holds of a value: an integer that is not safe becomes a string.

    >>> exact(2**53 - 1), exact(2**53), exact("a")
    (9007199254740991, '9007199254740992', 'a')
    """
    return str(value) if isinstance(value, int) and value not in SAFE else value
