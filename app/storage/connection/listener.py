"""Waits for the database to announce new texts, on a connection of its own."""

import select
from contextlib import ExitStack
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from app.storage.backfill_queries import LISTEN
from app.storage.connection.database import connection_errors
from app.storage.connection.pool import connection_parameters


class Listener:
    """LISTENs on the channel that migration 0010 notifies.

    Behind a pooler in transaction mode LISTEN succeeds and nothing ever comes.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: Connection | None = None

    def wait(self, timeout_s: float) -> bool:
        """Whether something was announced within the time, or before it.

        Raises DatabaseUnavailableError; the next call connects again.
        """
        with connection_errors(), ExitStack() as at_failure:
            at_failure.callback(self.close)
            announced = self._wait(timeout_s)
            at_failure.pop_all()
            return announced

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _wait(self, timeout_s: float) -> bool:
        if self._connection is None:
            self._connection = _listening(self._dsn)
        readable, _, _ = select.select([self._connection], [], [], timeout_s)
        if not readable:
            return False
        self._connection.poll()
        announced = bool(self._connection.notifies)
        self._connection.notifies.clear()
        return announced


def _listening(dsn: str) -> Connection:
    parameters: dict[str, Any] = {**connection_parameters(dsn)}
    connection: Connection = psycopg2.connect(dsn, **parameters)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(LISTEN)
    return connection
