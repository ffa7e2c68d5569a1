"""Factors of the jobs' scores, computed by Postgres from columns of the jobs."""

from collections.abc import Sequence

from psycopg2.sql import SQL, Composable, Identifier, Literal

from app.errors import InvalidInputError
from app.query.boosts import (
    GREATEST_BOOST,
    LEAST_BOOST,
    LEAST_FRESHNESS,
    SECONDS_PER_HOUR,
    Boosts,
)
from app.query.constraints import Condition
from app.storage.columns import ColumnType, JobColumn
from app.storage.conditions import where_clause
from app.storage.connection.transaction import Sink, Transaction
from app.storage.entity import EntityTable
from app.storage.sql import load

QUERIES = load("boosts")

DATES: Sequence[ColumnType] = ("date", "timestamp")
NUMERIC: Sequence[ColumnType] = ("integer", "number")
HOURS_PER_DAY = 24


def stream_factors(
    transaction: Transaction,
    sink: Sink,
    *,
    jobs: EntityTable,
    boosts: Boosts,
    filters: Sequence[Condition] = (),
) -> None:
    """Stream (job_id, float8) of each job that matches, as COPY BINARY.

    Raises InvalidInputError that names a column without the type that it needs.
    """
    factors = []
    if boosts.freshness is not None:
        column = column_of(jobs.columns, boosts.freshness, DATES, of="freshness")
        factors.append(_freshness(column, boosts))
    if boosts.boost is not None:
        column = column_of(jobs.columns, boosts.boost, NUMERIC, of="boost")
        factors.append(_boost(column))
    query = jobs.format(
        QUERIES["stream_factors"], factor=SQL(" * ").join(factors)
    ) + where_clause(filters, jobs.columns)
    transaction.copy_out(query, sink)


def column_of(
    columns: Sequence[JobColumn],
    name: str,
    types: Sequence[ColumnType],
    *,
    of: str,
) -> JobColumn:
    """The offered column of this name. Raises InvalidInputError if it is not one, or of
    another type. `of`: the field of the request that names it.
    """
    found = next((column for column in columns if column.name == name), None)
    if found is not None and found.type in types:
        return found
    able = [column.name for column in columns if column.type in types]
    kind = "numbers" if types == NUMERIC else "dates"
    among = f"{', '.join(able)} can be used" if able else "JOB_COLUMNS names none"
    raise InvalidInputError(
        f"The request is not valid: {of} needs a column of {kind}; {among}."
    )


def _freshness(column: JobColumn, boosts: Boosts) -> Composable:
    return QUERIES["freshness"].format(
        column=Identifier(column.name),
        now_s=Literal(boosts.hour * SECONDS_PER_HOUR),
        half_life_s=Literal(boosts.half_life_days * HOURS_PER_DAY * SECONDS_PER_HOUR),
        least=Literal(LEAST_FRESHNESS),
    )


def _boost(column: JobColumn) -> Composable:
    return QUERIES["boost"].format(
        column=Identifier(column.name),
        least=Literal(LEAST_BOOST),
        greatest=Literal(GREATEST_BOOST),
    )
