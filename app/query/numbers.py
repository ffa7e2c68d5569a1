"""Numbers for people, and large integers for JSON.

JavaScript and others read numbers as doubles.
"""

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


def counted(number: int, things: str, verb: str = "") -> str:
    """A number of things. `things`: their plural in s; `verb`: have, lie.

    >>> counted(1, "jobs"), counted(2, "new skills"), counted(1, "users", "have")
    ('1 job', '2 new skills', '1 user has')
    """
    if number == 1:
        things = things.removesuffix("s")
        verb = {"have": "has"}.get(verb, verb and f"{verb}s")
    return f"{number} {things} {verb}".rstrip()
