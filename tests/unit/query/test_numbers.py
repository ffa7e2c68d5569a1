"""Large integers in JSON."""

import pytest

from app.query.numbers import exact


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, 0),
        (2**53 - 1, 2**53 - 1),
        (2**53, "9007199254740992"),
        (-(2**53) + 1, -(2**53) + 1),
        (-(2**53), "-9007199254740992"),
        (0.1, 0.1),
        (1e300, 1e300),
        ("a", "a"),
        (None, None),
        (["a"], ["a"]),
    ],
)
def test_only_an_integer_that_is_not_safe_becomes_a_string(
    value: object, shown: object
) -> None:
    assert exact(value) == shown
    assert type(exact(value)) is type(shown)
