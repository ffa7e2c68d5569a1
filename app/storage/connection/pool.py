"""A bounded pool of psycopg2 connections whose callers wait, with a deadline.

psycopg2's own pool raises when it is exhausted, connects while it holds its lock,
hands out dead connections, and closes those above `minconn` when they come back.
This one keeps it for what it does well and mends these four. It knows no SQL.
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

# libpq takes whole seconds, and two at the least.
CONNECTION_DEFAULTS = {
    "application_name": "job-recommender",
    "client_encoding": "UTF8",
    # A host that is up answers within milliseconds; a black hole never does.
    "connect_timeout": "3",
    # A peer that vanished is noticed after about a minute of idling, so that an
    # idle connection through a NAT gateway neither expires nor lingers for hours.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}

PORTS = re.compile(r"[0-9,]*")


class ConnectionPool:
    """At most `size` connections, opened when first needed and kept until they die.

    Each slot is a psycopg2 pool of one: a connect that hangs holds the lock of its
    own slot and no other, and a slot whose connection broke is simply reconnected.
    """

    def __init__(self, dsn: str, *, size: int) -> None:
        parameters = connection_parameters(dsn)
        self.size = size
        # Last in, first out: the connection used last is the least likely to have
        # been dropped by an idle time-out somewhere on the way.
        self._free: queue.LifoQueue[ThreadedConnectionPool] = queue.LifoQueue()
        self._slots = [_slot(dsn, parameters) for _ in range(size)]
        for slot in self._slots:
            self._free.put(slot)
        self._waiting = 0
        self._counting = threading.Lock()

    @property
    def in_use(self) -> int:
        """Connections that are lent out now."""
        return self.size - self._free.qsize()

    @property
    def waiting(self) -> int:
        """Callers that wait for a connection now."""
        return self._waiting

    @contextmanager
    def connection(self, deadline: Deadline) -> Iterator[Connection]:
        """Lend a live connection, in autocommit mode and outside a transaction.

        Raises DatabaseUnavailableError when no slot is free before the deadline,
        and psycopg2.OperationalError when the database cannot be reached. A
        connection that comes back closed or inside a transaction is discarded.
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
        """Close every connection; those in use fail at their next statement."""
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
    # minconn 0 makes it connect to nothing now: a database that is down must not
    # stop start-up.
    slot = ThreadedConnectionPool(0, 1, dsn, **parameters)
    # With minconn 1 from here on, it keeps the connection that comes back.
    slot.minconn = 1
    return slot


def _live_connection(slot: ThreadedConnectionPool) -> Connection:
    lent: Connection = slot.getconn()
    if _is_dead(lent):
        # The database was restarted, or a firewall dropped us, while it idled.
        slot.putconn(lent, close=True)
        lent = slot.getconn()
    lent.autocommit = True
    return lent


def _take_back(slot: ThreadedConnectionPool, lent: Connection) -> None:
    broken = (
        bool(lent.closed) or lent.info.transaction_status != TRANSACTION_STATUS_IDLE
    )
    # PoolError: the pool was closed meanwhile, and this connection with it.
    with suppress(PoolError):
        slot.putconn(lent, close=broken)


def connection_parameters(dsn: str) -> dict[str, str]:
    """Our connection parameters, less those that the connection string sets.

    Raises psycopg2.ProgrammingError for a string that is none.
    """
    given = parse_dsn(dsn)
    # libpq looks at the port only when it connects; several hosts have several.
    if not PORTS.fullmatch(given.get("port", "")):
        raise ProgrammingError("the port is not a number")
    return {key: CONNECTION_DEFAULTS[key] for key in CONNECTION_DEFAULTS.keys() - given}


def _is_dead(idle: Connection) -> bool:
    """Whether an idle connection cannot be used, told without a round trip.

    Postgres says nothing to an idle session unless it ends it, so a socket that is
    readable holds a farewell or an end of file. A stray notice costs a reconnect.
    """
    if idle.closed:
        return True
    poller = select.poll()
    poller.register(idle.fileno(), select.POLLIN)
    return bool(poller.poll(0))
