"""Transactions on the coordinator, without limits of time but with short locks."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.sql import SQL, Composable, Identifier, Literal

from app.commands.migrate import LOCK_KEY, connect, sentence
from app.errors import ConfigError
from app.storage.shards import QUERIES, SHARDS_SCHEMA

# Of a partition that is not in its place yet.
MOVING = "recommender_moving"

# Readers wait behind us for this time at most; then we step aside and try again.
SWAP_LOCK_TIMEOUT = "500ms"
SWAP_PAUSE_S = 0.5
MOST_SWAPS = 120

RunStatement = Callable[[Composable], list[tuple[Any, ...]]]

BEGIN_ADMIN = SQL(
    "SET LOCAL statement_timeout = 0;"
    " SET LOCAL idle_in_transaction_session_timeout = 0;"
    " SET LOCAL row_security = off; SET LOCAL jit = off;"
    " SET LOCAL search_path = pg_catalog, pg_temp"
)


class Session:
    """A connection to the coordinator; `dsn` opens another one."""

    def __init__(self, connection: Connection, dsn: str) -> None:
        self._connection = connection
        self._dsn = dsn

    @contextmanager
    def transaction(self) -> Iterator[RunStatement]:
        """Committed at the end of the block; yields a function that runs a statement
        and returns its rows.
        """
        with self._connection, self._connection.cursor() as cursor:

            def run(statement: Composable) -> list[tuple[Any, ...]]:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

            run(BEGIN_ADMIN)
            yield run

    @contextmanager
    def beside(self) -> Iterator[RunStatement]:
        """A transaction of another connection, beside the one that is open here. At the
        end of the block it is committed, and then waits until every transaction has
        ended that may not see its rows: a snapshot before it would find none of them,
        and the answer would lack jobs.

        Raises ConfigError if one stays.
        """
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            ((own_pid,),) = cursor.fetchall()
        with closing(connect(self._dsn)) as connection:
            other = Session(connection, self._dsn)
            with other.transaction() as run:
                yield run
            other._outlive_snapshots(own_pid)

    def _outlive_snapshots(self, but_of: int) -> None:
        find = QUERIES["old_transactions"].format(
            lock_key=Literal(LOCK_KEY), pid=Literal(but_of)
        )
        old: set[str] | None = None
        for attempt in range(MOST_SWAPS):
            if attempt:
                time.sleep(SWAP_PAUSE_S)
            with self.transaction() as run:
                found = {name for (name,) in run(find)}
            old = found if old is None else old & found
            if not old:
                return
        raise ConfigError(
            "A transaction that began before the rows were copied did not end, and"
            " nothing was changed; end the long transactions and run it again."
        )

    def quoted(self, value: Composable) -> str:
        return str(value.as_string(self._connection))


def clear_moving(run: RunStatement) -> None:
    """Drop what an interrupted move has left."""
    run(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(MOVING)))


def swap(run: RunStatement, statement: Composable) -> None:
    """Run a statement that readers of the table would wait for, between two of them.

    Raises ConfigError if there is always a reader.
    """
    run(SQL("SET LOCAL lock_timeout = {}").format(Literal(SWAP_LOCK_TIMEOUT)))
    for attempt in range(1, MOST_SWAPS + 1):
        run(SQL("SAVEPOINT swap"))
        try:
            run(statement)
        except psycopg2.Error as error:
            if error.pgcode != errorcodes.LOCK_NOT_AVAILABLE:
                raise
            if attempt == MOST_SWAPS:
                raise ConfigError(
                    f"Jobs were being read at each of {MOST_SWAPS} moments, and nothing"
                    " was changed; end the long transactions and run it again."
                ) from error
            run(SQL("ROLLBACK TO SAVEPOINT swap"))
            time.sleep(SWAP_PAUSE_S)
        else:
            break
    run(SQL("SET LOCAL lock_timeout = 0"))


def may_run(run: RunStatement, statement: Composable) -> bool:
    """Run a statement; False, and nothing has happened, without the right to."""
    run(SQL("SAVEPOINT attempt"))
    try:
        run(statement)
    except psycopg2.errors.InsufficientPrivilege:
        run(SQL("ROLLBACK TO SAVEPOINT attempt"))
        return False
    return True


@contextmanager
def telling(part: str, target: str | None) -> Iterator[None]:
    """Raise ConfigError for an error of the driver: which partition did not move."""
    try:
        yield
    except psycopg2.Error as error:
        raise ConfigError(
            f"{part} was not moved to {target or 'the coordinator'}, and lies where it"
            f" was: {sentence(error)}. Run it again to continue."
        ) from error


def place(name: str) -> Identifier:
    """A partition in its place."""
    return Identifier(SHARDS_SCHEMA, name)


def moving(name: str) -> Identifier:
    """A partition on its way there."""
    return Identifier(MOVING, name)
