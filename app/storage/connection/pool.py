"""A connection pool whose callers wait with a deadline, on top of psycopg2's.

psycopg2's own pool raises when it is exhausted, connects while it holds its lock,
returns dead connections, and closes returned connections above `minconn`. This module
fixes these four. It contains no SQL.
"""

import queue
import re
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from psycopg2 import ProgrammingError
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, parse_dsn
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.pool import PoolError, ThreadedConnectionPool

from app.deadline import Deadline
from app.errors import DatabaseUnavailableError

# libpq accepts whole seconds, and at least two.
# A text of a request may hold any character.
CLIENT_ENCODING = {"client_encoding": "UTF8"}
CONNECTION_DEFAULTS = {
    "application_name": "job-recommender",
    # A reachable host answers within milliseconds, an unreachable one never.
    "connect_timeout": "3",
    # Detect a dead peer after about a minute, and keep idle connections through NAT
    # gateways alive.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}

PORTS = re.compile(r"[0-9,]*")


class ConnectionPool:
    """At most `size` connections, opened when first needed and then kept.

    Each slot is a psycopg2 pool of one connection: a blocked connect holds only the
    lock of its own slot, and a broken connection is replaced in its slot.
    """

    def __init__(self, dsn: str, *, size: int) -> None:
        parameters = connection_parameters(dsn)
        self.size = size
        # Last in, first out: an idle time-out in the network is least likely to have
        # closed the connection that was used last.
        self._free: queue.LifoQueue[ThreadedConnectionPool] = queue.LifoQueue()
        self._slots = [_slot(dsn, parameters) for _ in range(size)]
        for slot in self._slots:
            self._free.put(slot)
        self._waiting = 0
        self._counting = threading.Lock()

    @property
    def in_use(self) -> int:
        """The number of connections in use."""
        return self.size - self._free.qsize()

    @property
    def waiting(self) -> int:
        """The number of callers that wait for a connection."""
        return self._waiting

    @contextmanager
    def connection(self, deadline: Deadline) -> Iterator[Connection]:
        """Borrow a live connection, in autocommit mode and outside a transaction.

        Raises DatabaseUnavailableError if no slot is free until the deadline, and
        psycopg2.OperationalError if the database cannot be reached. A connection that
        is returned closed or inside a transaction is discarded.
        """
        slot = self._wait_for_slot(deadline)
        try:
            lent = _live_connection(slot)
            try:
                yield lent
            finally:
                _take_back(slot, lent)
        finally:
            self._free.put(slot)

    def close(self) -> None:
        """Close all connections; those in use fail at their next statement."""
        for slot in self._slots:
            slot.closeall()

    def _wait_for_slot(self, deadline: Deadline) -> ThreadedConnectionPool:
        with self._counting:
            self._waiting += 1
        try:
            return self._free.get(timeout=deadline.remaining_s())
        except queue.Empty:
            raise DatabaseUnavailableError(
                f"All {self.size} database connections stayed busy until the"
                " deadline; try again in a moment."
            ) from None
        finally:
            with self._counting:
                self._waiting -= 1


def _slot(dsn: str, parameters: dict[str, str]) -> ThreadedConnectionPool:
    # minconn=0: do not connect now, since the service must start without its database.
    slot = ThreadedConnectionPool(0, 1, dsn, **parameters)
    # minconn=1: keep a returned connection open.
    slot.minconn = 1
    return slot


def _live_connection(slot: ThreadedConnectionPool) -> Connection:
    lent: Connection = slot.getconn()
    if _is_dead(lent):
        # The database was restarted, or a firewall closed the idle connection.
        slot.putconn(lent, close=True)
        lent = slot.getconn()
    lent.autocommit = True
    return lent


def _take_back(slot: ThreadedConnectionPool, lent: Connection) -> None:
    broken = (
        bool(lent.closed) or lent.info.transaction_status != TRANSACTION_STATUS_IDLE
    )
    # PoolError: the pool has closed this connection already.
    with suppress(PoolError):
        slot.putconn(lent, close=broken)


def connection_parameters(dsn: str) -> dict[str, str]:
    """The default parameters that the connection string does not set itself, and the
    encoding in any case.

    Raises psycopg2.ProgrammingError for an invalid string.
    """
    own = parse_dsn(dsn)
    # libpq checks ports only when it connects. Several hosts may have several ports.
    if not PORTS.fullmatch(own.get("port", "")):
        raise ProgrammingError("the port is not a number")
    defaults = {k: v for k, v in CONNECTION_DEFAULTS.items() if k not in own}
    return defaults | CLIENT_ENCODING


def _is_dead(idle: Connection) -> bool:
    """Whether an idle connection is unusable, without a round trip.

    Postgres sends nothing to an idle session except when it ends it, so a readable
    socket means that the session has ended. A stray notice costs a reconnect.
    """
    if idle.closed:
        return True
    poller = select.poll()
    poller.register(idle.fileno(), select.POLLIN)
    return bool(poller.poll(0))
