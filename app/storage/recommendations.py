"""Recommendations of all users as a table, and the runs that fill it."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2.sql import SQL, Composable, Identifier

from app.errors import AppError
from app.query.ids import Id
from app.storage.catalogue import Catalogue
from app.storage.connection.transaction import Transaction
from app.storage.entity import Escaped

# Row-level security without a policy shows strangers nothing: on Supabase every table
# in `public` is served to them unless it is closed, and these are personal data.
CREATE = SQL("""
    CREATE TABLE IF NOT EXISTS {table} (
        user_id {user_type} NOT NULL,
        rank integer NOT NULL,
        job_id {job_type} NOT NULL,
        similarity_score double precision,
        match_score double precision,
        run bigint NOT NULL,
        PRIMARY KEY (user_id, rank)
    );
    CREATE TABLE IF NOT EXISTS {runs} (
        run bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        question text NOT NULL,
        after_user {user_type},
        started_at timestamptz NOT NULL DEFAULT now(),
        finished_at timestamptz
    );
    ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
    ALTER TABLE {runs} ENABLE ROW LEVEL SECURITY
""")
UNFINISHED = SQL(
    "SELECT run, after_user::{user_type} FROM {runs} WHERE finished_at IS NULL"
    " AND question = %(question)s AND run = (SELECT max(run) FROM {runs})"
)
START = SQL("INSERT INTO {runs} (question) VALUES (%(question)s) RETURNING run")

# Nobody else must have moved the run on: two processes would undo one another.
ADVANCE = SQL(
    "UPDATE {runs} SET after_user = %(last)s::{user_type} WHERE run = %(run)s"
    " AND finished_at IS NULL"
    " AND after_user IS NOT DISTINCT FROM %(after)s::{user_type}"
)
FORGET = SQL("DELETE FROM {table} WHERE user_id = ANY (%(users)s::{user_type}[])")
STORE = SQL(
    "INSERT INTO {table} SELECT new.*, %(run)s FROM unnest(%(users)s::{user_type}[],"
    " %(ranks)s::int[], %(jobs)s::{job_type}[], %(similarities)s::float8[],"
    " %(matches)s::float8[]) AS new"
)
# Users who were deleted, or have no skills any more.
FORGET_OTHERS = SQL("DELETE FROM {table} WHERE run <> %(run)s")
FINISH = SQL("UPDATE {runs} SET finished_at = now() WHERE run = %(run)s")

USERS_AFTER = SQL(
    "SELECT DISTINCT user_id::{user_type}, user_id FROM {users}"
    " WHERE user_id IS NOT NULL"
    " AND (%(after)s IS NULL OR user_id > %(after)s::{user_type})"
    " ORDER BY user_id LIMIT %(limit)s"
)
COUNT_AFTER = SQL(
    "SELECT count(DISTINCT user_id) FROM {users}"
    " WHERE %(after)s IS NULL OR user_id > %(after)s::{user_type}"
)


@dataclass(frozen=True)
class Recommended:
    """One row: the job that is `rank`-th best for the user, counted from 1."""

    user_id: Id
    rank: int
    job_id: Id
    similarity_score: float | None
    match_score: float | None


@dataclass(frozen=True)
class Run:
    """One run over all users; those up to `after` are done."""

    number: int
    after: Id | None


class RecommendationTable:
    """The table `name`, schema and dot in front if need be, and `<name>_run`."""

    def __init__(self, name: str, catalogue: Catalogue) -> None:
        parts = name.split(".")
        self._parts: dict[str, Composable] = {
            "table": Identifier(*parts),
            "runs": Identifier(*parts[:-1], f"{parts[-1]}_run"),
            "user_type": SQL(catalogue.user_id.cast),
            "job_type": SQL(catalogue.job_id.cast),
        }

    def create(self, transaction: Transaction) -> None:
        """Both tables, where they are absent."""
        transaction.execute(self._format(CREATE))

    def open_run(
        self, transaction: Transaction, question: str, *, anew: bool = False
    ) -> Run:
        """The last run, if it did not finish and asked the same, or else a new one."""
        given: dict[str, object] = {"question": question}
        if not anew and (rows := transaction.rows(self._format(UNFINISHED), given)):
            return Run(*rows[0])
        return Run(transaction.rows(self._format(START), given)[0][0], None)

    def store(
        self,
        transaction: Transaction,
        run: Run,
        users: Sequence[Id],
        rows: Sequence[Recommended],
    ) -> Run:
        """Replace what these users, the next in order, had; the run moved on.

        Raises AppError when another process moved the run on meanwhile.
        """
        last = users[-1]
        moved = transaction.execute(
            self._format(ADVANCE),
            {"run": run.number, "after": run.after, "last": last},
        )
        if not moved:
            raise AppError("Another process is filling this table; let it finish.")
        transaction.execute(self._format(FORGET), {"users": list(users)})
        transaction.execute(
            self._format(STORE),
            {
                "run": run.number,
                "users": [row.user_id for row in rows],
                "ranks": [row.rank for row in rows],
                "jobs": [row.job_id for row in rows],
                "similarities": [row.similarity_score for row in rows],
                "matches": [row.match_score for row in rows],
            },
        )
        return Run(run.number, last)

    def finish(self, transaction: Transaction, run: Run) -> None:
        """All users are done: forget the rows of those who are gone."""
        transaction.execute(self._format(FORGET_OTHERS), {"run": run.number})
        transaction.execute(self._format(FINISH), {"run": run.number})

    def _format(self, query: SQL) -> Composable:
        return query.format(**self._parts)


def users_after(
    transaction: Transaction, catalogue: Catalogue, after: Id | None, *, limit: int
) -> list[Id]:
    """The ids of the next users, in order."""
    query = _of_users(USERS_AFTER, catalogue)
    rows = transaction.rows(query, {"after": after, "limit": limit})
    return [row[0] for row in rows]


def count_users_after(
    transaction: Transaction, catalogue: Catalogue, after: Id | None
) -> int:
    """How many there are beyond `after`."""
    query = _of_users(COUNT_AFTER, catalogue)
    count: int = transaction.rows(query, {"after": after})[0][0]
    return count


def _of_users(query: SQL, catalogue: Catalogue) -> Composable:
    return query.format(
        users=Escaped(catalogue.users.identifier), user_type=SQL(catalogue.user_id.cast)
    )
