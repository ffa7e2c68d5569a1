"""Columns and filters as SQL: identifiers from the catalogue, values as literals."""

from collections.abc import Sequence

from psycopg2.sql import SQL, Composable, Composed, Identifier, Literal

from app.errors import InvalidInputError
from app.query.constraints import AnyOf, Condition, Range, Unexpired
from app.query.filters import unknown_column
from app.storage.columns import JobColumn

EVERY_ROW = Composed([])
OPERATORS = {"gte": SQL(">="), "gt": SQL(">"), "lte": SQL("<="), "lt": SQL("<")}


def selected(columns: Sequence[JobColumn]) -> Composed:
    """`, …` for each column, to append to a SELECT list.

    Each value is converted to JSON, which excludes values that Python cannot hold, such
    as an infinite date.
    """
    return Composed(
        [
            SQL(", to_json({}::{})").format(
                Identifier(column.name), SQL(column.shown_as)
            )
            for column in columns
        ]
    )


def where_clause(
    filters: Sequence[Condition], columns: Sequence[JobColumn]
) -> Composed:
    """` AND …` for each filter, to append to a condition on skill_job1.

    Values are literals, because COPY takes no parameters: in a statement that does take
    some, a `%` in a value would be read as a placeholder. Raises InvalidInputError that
    names the value that cannot be compared with its column.
    """
    by_name = {column.name: column for column in columns}
    return Composed(
        [SQL(" AND {}").format(_condition(filter_, by_name)) for filter_ in filters]
    )


def check_filters(filters: Sequence[Condition], columns: Sequence[JobColumn]) -> None:
    """Raise InvalidInputError as `where_clause` does, also where nothing is ranked."""
    where_clause(filters, columns)


def _condition(filter_: Condition, columns: dict[str, JobColumn]) -> Composable:
    if filter_.column not in columns:
        raise InvalidInputError(unknown_column(list(columns)))
    column = columns[filter_.column]
    if isinstance(filter_, Unexpired):
        return _unexpired(column)
    if isinstance(filter_, AnyOf):
        return _any_of(column, filter_)
    return _range(column, filter_)


def _any_of(column: JobColumn, filter_: AnyOf) -> Composable:
    values = [column.literal(value) for value in filter_.values if value is not None]
    name = Identifier(column.name)
    among = SQL("{} = ANY ({}::{}[])").format(name, Literal(values), _type(column))
    if None in filter_.values:
        return SQL("({} OR {} IS NULL)").format(among, name)
    return among


def _range(column: JobColumn, filter_: Range) -> Composable:
    if not column.has_ranges:
        raise InvalidInputError(
            f"The request is not valid: filters.{column.name} can be one value or a"
            f" list; a {column.type} column has no ranges."
        )
    return SQL(" AND ").join(
        SQL("{} {} {}::{}").format(
            Identifier(column.name),
            OPERATORS[operator],
            Literal(column.literal(value)),
            _type(column),
        )
        for operator, value in filter_.bounds
    )


def _unexpired(column: JobColumn) -> Composable:
    """A date is over with its day in UTC."""
    name = Identifier(column.name)
    if column.sql_type == "date":
        return SQL("({0} IS NULL OR {0} >= (now() AT TIME ZONE 'utc')::date)").format(
            name
        )
    if column.type != "timestamp":
        raise InvalidInputError(
            "The request is not valid: expires needs a column of dates, and"
            f" {column.name} has the type {column.type}."
        )
    in_utc = (
        " AT TIME ZONE 'utc'" if column.sql_type.endswith("without time zone") else ""
    )
    return SQL("({0} IS NULL OR {0} > now(){1})").format(name, SQL(in_utc))


def _type(column: JobColumn) -> SQL:
    return SQL(column.cast)
