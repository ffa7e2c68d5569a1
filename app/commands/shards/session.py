"""Transactions on the coordinator, without limits of time but with short locks."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.sql import SQL, Composable, Identifier, Literal

from app.errors import ConfigError
from app.storage.shards import SHARDS_SCHEMA

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
    """A connection to the coordinator."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

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

    def quoted(self, value: Composable) -> str:
        return str(value.as_string(self._connection))


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


def place(name: str) -> Identifier:
    """A partition in its place."""
    return Identifier(SHARDS_SCHEMA, name)


def moving(name: str) -> Identifier:
    """A partition on its way there."""
    return Identifier(MOVING, name)
