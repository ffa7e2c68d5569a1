"""Large integers in JSON, where JavaScript and others read numbers as doubles."""

from typing import TypeVar

JsonValue = TypeVar("JsonValue")

# Above this, a float cannot distinguish neighbouring integers.
EXACT_IN_A_FLOAT = 2**53
# JavaScript's safe integers: no other integer has the same double.
SAFE = range(-EXACT_IN_A_FLOAT + 1, EXACT_IN_A_FLOAT)


def exact(value: JsonValue) -> JsonValue | str:
    """The JSON form of a value: an integer that is not safe becomes a string.

    >>> exact(2**53 - 1), exact(2**53), exact("a")
    (9007199254740991, '9007199254740992', 'a')
    """
    return str(value) if isinstance(value, int) and value not in SAFE else value
