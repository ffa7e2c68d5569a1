"""Stored recommendations of all users, and the runs that write them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg2.sql import SQL, Composable

from app.errors import AppError
from app.query.ids import Id
from app.storage.catalogue import Catalogue
from app.storage.connection.transaction import Escaped, Transaction
from app.storage.sql import load

QUERIES = load("recommendations")


@dataclass(frozen=True)
class StoredRecommendation:
    """One row: the user's job at `rank`, counted from 1."""

    user_id: Id
    rank: int
    job_id: Id
    similarity_score: float | None
    match_score: float | None


@dataclass(frozen=True)
class NewJob(StoredRecommendation):
    """One row, and since when the job has been among the best of the user."""

    since: datetime


@dataclass(frozen=True)
class Run:
    """One run over all users: `done` of them, up to `after`."""

    number: int
    done: int = 0
    after: Id | None = None


class RecommendationTable:
    """`recommender.recommendation` and the runs that fill it."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._types: dict[str, Composable] = {
            "user_type": SQL(catalogue.user_id.cast),
            "job_type": SQL(catalogue.job_id.cast),
        }

    def open_run(
        self, transaction: Transaction, question: str, *, anew: bool = False
    ) -> Run:
        """Resume the last run if unfinished and of the same query, or start one."""
        given: dict[str, object] = {"question": question}
        if not anew and (rows := transaction.rows(self._format("unfinished"), given)):
            return Run(*rows[0])
        return Run(transaction.rows(self._format("start"), given)[0][0])

    def store(
        self,
        transaction: Transaction,
        run: Run,
        users: Sequence[Id],
        rows: Sequence[StoredRecommendation],
    ) -> Run:
        """Replace the rows of these users, the next in order. Returns the advanced run.

        Raises AppError if another process has advanced it or started a newer run.
        """
        moved = transaction.execute(
            self._format("advance"),
            {"run": run.number, "done": run.done, "users": len(users)},
        )
        if not moved:
            raise AppError(
                "Another process is filling recommender.recommendation; let it finish,"
                " then run this again."
            )
        known = {
            (user, job): since for user, job, since in self.known(transaction, users)
        }
        transaction.execute(self._format("forget"), {"users": list(users)})
        transaction.execute(
            self._format("store"),
            {
                "run": run.number,
                "users": [row.user_id for row in rows],
                "ranks": [row.rank for row in rows],
                "jobs": [row.job_id for row in rows],
                "similarities": [row.similarity_score for row in rows],
                "matches": [row.match_score for row in rows],
                "since": [known.get((row.user_id, row.job_id)) for row in rows],
            },
        )
        return Run(run.number, run.done + len(users), users[-1])

    def finish(
        self, transaction: Transaction, run: Run, *, is_untold: bool = False
    ) -> None:
        """End the run, and remove the rows of deleted users. `is_untold`: what is new
        is still to be told.
        """
        given: dict[str, object] = {"run": run.number, "is_untold": is_untold}
        transaction.execute(self._format("forget_older"), given)
        transaction.execute(self._format("finish"), given)

    def known(
        self, transaction: Transaction, users: Sequence[Id]
    ) -> list[tuple[Id, Id, datetime]]:
        """The jobs of these users, and since when they have had them."""
        return transaction.rows(self._format("known"), {"users": list(users)})

    def erase(
        self, transaction: Transaction, users: Sequence[Id]
    ) -> list[tuple[Id, Id, datetime]]:
        """Delete the rows of these users, and return them as `known`. Without any, the
        right to delete is not needed.
        """
        found = self.known(transaction, users)
        if found:
            transaction.execute(self._format("forget"), {"users": list(users)})
        return found

    def last_finish(self, transaction: Transaction) -> datetime | None:
        """When the last run finished whose news were told, or were not to be told;
        None before the first one.
        """
        moment: datetime | None = transaction.rows(self._format("last_finish"))[0][0]
        return moment

    def untold(self, transaction: Transaction) -> int:
        """The number of the last run whose news are still to be told, or 0."""
        return transaction.rows(self._format("untold"))[0][0] or 0

    def told(self, transaction: Transaction, run: int) -> None:
        """The news of the runs up to this number are told."""
        transaction.execute(self._format("told"), {"run": run})

    def new_jobs(
        self,
        transaction: Transaction,
        since: datetime,
        *,
        after: Id | None,
        users: int,
    ) -> list[NewJob]:
        """The jobs that came among the best at `since` or later, of the next users
        beyond `after` who have some, at most `users` of these.
        """
        given: dict[str, object] = {"since": since, "after": after, "users": users}
        rows = transaction.rows(self._format("new_jobs"), given)
        return [NewJob(*row) for row in rows]

    def _format(self, query: str) -> Composable:
        return QUERIES[query].format(**self._types)


def users_after(
    transaction: Transaction, catalogue: Catalogue, after: Id | None, *, limit: int
) -> list[Id]:
    """The ids of the next users, in order."""
    query = _of_users("users_after", catalogue)
    rows = transaction.rows(query, {"after": after, "limit": limit})
    return [row[0] for row in rows]


def count_users_after(
    transaction: Transaction, catalogue: Catalogue, after: Id | None
) -> int:
    """The number of users beyond `after`."""
    query = _of_users("count_after", catalogue)
    count: int = transaction.rows(query, {"after": after})[0][0]
    return count


def _of_users(query: str, catalogue: Catalogue) -> Composable:
    return QUERIES[query].format(
        users=Escaped(catalogue.users.identifier), user_type=SQL(catalogue.user_id.cast)
    )
