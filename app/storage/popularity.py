"""The jobs to which most users applied, by their feedback."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2.sql import SQL, Composable, Identifier, Literal

from app.query.constraints import Condition
from app.query.ids import Id
from app.storage.boosts import DATES, column_of
from app.storage.catalogue import Catalogue
from app.storage.conditions import where_clause
from app.storage.connection.transaction import NOTHING, Transaction
from app.storage.entity import EntityTable
from app.storage.feedback import QUERIES


@dataclass(frozen=True)
class AppliedJob:
    """A job, how many users applied to it, and its date in seconds since 1970."""

    id: Id
    users: int
    newest: float = 0.0


def most_applied(
    transaction: Transaction,
    catalogue: Catalogue,
    *,
    filters: Sequence[Condition] = (),
    newest: str | None = None,
    after: AppliedJob | None = None,
    limit: int,
) -> list[AppliedJob]:
    """The next jobs after `after`: most users first, of equal ones the newest and then
    the last id. `newest`: a column of dates.
    """
    jobs = catalogue.jobs
    bytewise = SQL(' COLLATE "C"') if jobs.id_column.kind == "text" else NOTHING
    beyond: Composable = SQL("true")
    if after is not None:
        beyond = jobs.format(
            QUERIES["after_most_applied"],
            users=Literal(after.users),
            newest=Literal(after.newest),
            last=Literal(str(after.id)),
            bytewise=bytewise,
        )
    query = jobs.format(
        QUERIES["most_applied"],
        filters=where_clause(filters, jobs.columns),
        beyond=beyond,
        newest=SQL("0::float8") if newest is None else _newest(jobs, newest),
        bytewise=bytewise,
    )
    rows = transaction.rows(query, {"limit": limit})
    return [AppliedJob(*row) for row in rows]


def _newest(jobs: EntityTable, name: str) -> Composable:
    column = column_of(jobs.columns, name, DATES, of="freshness")
    return QUERIES["newest"].format(column=Identifier(column.name))
