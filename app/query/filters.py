"""Parse a request's filters into a normal form: equal filters are equal values.

`app.storage.columns` checks that each value has its column's type.
"""

from collections.abc import Iterable, Mapping, Sequence

from app.errors import InvalidInputError
from app.query.constraints import AnyOf, Condition, Range, Scalar

BOUNDS = ("gt", "gte", "lt", "lte")
MAX_VALUES = 1000


def read_filters(
    filters: Mapping[str, object], *, columns: Sequence[str]
) -> tuple[Condition, ...]:
    """Parse `column: value` (equality), a list (any of) or `{"gte": 1, "lt": 2}`.

    Raises InvalidInputError, which names the column only if it is one of `columns`.
    """
    for column in filters:
        if column not in columns:
            raise InvalidInputError(unknown_column(columns))
    return tuple(_condition(column, filters[column]) for column in sorted(filters))


def unknown_column(columns: Sequence[str]) -> str:
    """The message for a filter on another column, whose name it does not echo."""
    if not columns:
        return (
            "The request is not valid: filters is not available, because JOB_COLUMNS"
            " names no columns."
        )
    return (
        "The request is not valid: filters names an unknown column; the columns are"
        f" {', '.join(columns)}."
    )


def _condition(column: str, filter_: object) -> Condition:
    if isinstance(filter_, Mapping):
        return _range(column, filter_)
    values = filter_ if isinstance(filter_, list) else [filter_]
    if len(values) > MAX_VALUES:
        raise InvalidInputError(
            f"The request is not valid: filters.{column} has {len(values)} values; the"
            f" maximum is {MAX_VALUES}."
        )
    return AnyOf(column, _distinct(_scalar(column, value) for value in values))


def _range(column: str, bounds: Mapping[object, object]) -> Range:
    if not bounds or any(bound not in BOUNDS for bound in bounds):
        raise InvalidInputError(
            f"The request is not valid: filters.{column} needs bounds among"
            f" {', '.join(BOUNDS)}."
        )
    parsed = []
    for bound in BOUNDS:
        if bound in bounds:
            value = _scalar(column, bounds[bound])
            if value is None:
                raise _malformed(column)
            parsed.append((bound, value))
    return Range(column, tuple(parsed))


def _scalar(column: str, value: object) -> Scalar:
    if value is None or isinstance(value, str | int | float):
        return value
    raise _malformed(column)


def _malformed(column: str) -> InvalidInputError:
    return InvalidInputError(
        f"The request is not valid: filters.{column} should be a value, a list of"
        ' values, or bounds such as {"gte": 1}.'
    )


def _distinct(values: Iterable[Scalar]) -> tuple[Scalar, ...]:
    """Distinct values in a fixed order. True, 1 and 1.0 are three values."""
    distinct = {(type(value).__name__, repr(value)): value for value in values}
    return tuple(distinct[key] for key in sorted(distinct))
