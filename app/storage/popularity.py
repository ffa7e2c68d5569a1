"""The jobs to which most users applied, by their feedback."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2.sql import SQL, Composable, Literal

from app.query.constraints import Condition
from app.query.ids import Id
from app.storage.catalogue import Catalogue
from app.storage.conditions import where_clause
from app.storage.connection.transaction import NOTHING, Transaction
from app.storage.feedback import QUERIES


@dataclass(frozen=True)
class AppliedJob:
    """A job, and how many users applied to it."""

    id: Id
    users: int


def most_applied(
    transaction: Transaction,
    catalogue: Catalogue,
    *,
    filters: Sequence[Condition] = (),
    after: AppliedJob | None = None,
    limit: int,
) -> list[AppliedJob]:
    """The next jobs after `after`: most users first, of equal ones the last id."""
    jobs = catalogue.jobs
    bytewise = SQL(' COLLATE "C"') if jobs.id_column.kind == "text" else NOTHING
    beyond: Composable = SQL("true")
    if after is not None:
        beyond = jobs.format(
            QUERIES["after_most_applied"],
            users=Literal(after.users),
            last=Literal(str(after.id)),
            bytewise=bytewise,
        )
    query = jobs.format(
        QUERIES["most_applied"],
        filters=where_clause(filters, jobs.columns),
        beyond=beyond,
        bytewise=bytewise,
    )
    rows = transaction.rows(query, {"limit": limit})
    return [AppliedJob(*row) for row in rows]
