"""Filters as a request writes them, in one form: equal filters become equal values.

That a value is of its column's type, `app.storage.columns` must tell.
"""

from collections.abc import Iterable, Mapping, Sequence

from app.errors import InvalidInputError
from app.query.constraints import AnyOf, Condition, Range, Scalar

BOUNDS = ("gt", "gte", "lt", "lte")
MOST_VALUES = 1000


def read_filters(
    given: Mapping[str, object], *, offered: Sequence[str]
) -> tuple[Condition, ...]:
    """`column: value` is equality, a list any of, `{"gte": 1, "lt": 2}` a range.

    Raises InvalidInputError, which names the column if it is one of those offered.
    """
    for column in given:
        if column not in offered:
            raise InvalidInputError(unknown_column(offered))
    return tuple(_condition(column, given[column]) for column in sorted(given))


def unknown_column(offered: Sequence[str]) -> str:
    """The sentence for a filter on another column; its name is input, these are not."""
    if not offered:
        return "The request is not valid: no columns are offered to filter on."
    return (
        "The request is not valid: filters names a column that is not offered; there"
        f" are {', '.join(offered)}."
    )


def _condition(column: str, given: object) -> Condition:
    if isinstance(given, Mapping):
        return _range(column, given)
    values = given if isinstance(given, list) else [given]
    if len(values) > MOST_VALUES:
        raise InvalidInputError(
            f"The request is not valid: filters.{column} has {len(values)} values, and"
            f" may have {MOST_VALUES}."
        )
    return AnyOf(column, _distinct(_scalar(column, value) for value in values))


def _range(column: str, given: Mapping[object, object]) -> Range:
    if not given or any(bound not in BOUNDS for bound in given):
        raise InvalidInputError(
            f"The request is not valid: filters.{column} needs bounds among"
            f" {', '.join(BOUNDS)}."
        )
    bounds = []
    for bound in BOUNDS:
        if bound in given:
            value = _scalar(column, given[bound])
            if value is None:
                raise _misshapen(column)
            bounds.append((bound, value))
    return Range(column, tuple(bounds))


def _scalar(column: str, value: object) -> Scalar:
    if value is None or isinstance(value, str | int | float):
        return value
    raise _misshapen(column)


def _misshapen(column: str) -> InvalidInputError:
    return InvalidInputError(
        f"The request is not valid: filters.{column} should be a value, a list of"
        " values, or bounds that are values."
    )


def _distinct(values: Iterable[Scalar]) -> tuple[Scalar, ...]:
    """In one order, each once. True, 1 and 1.0 are three."""
    found = {(type(value).__name__, repr(value)): value for value in values}
    return tuple(found[key] for key in sorted(found))
