"""Transactions with a deadline; translates the driver's errors into ours."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2.extensions import (
    TRANSACTION_STATUS_ACTIVE,
    TRANSACTION_STATUS_IDLE,
)
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import cursor as Cursor  # noqa: N812
from psycopg2.sql import SQL, Literal

from app.deadline import Deadline
from app.errors import (
    CommitUnknownError,
    ConnectionLostError,
    UnavailableError,
)
from app.storage.connection.driver_errors import (
    is_lost,
    translate,
    translate_refusal,
)
from app.storage.connection.dsn import check_dsn
from app.storage.connection.pool import ConnectionPool
from app.storage.connection.transaction import Transaction
from app.storage.connection.watchdog import Watchdog, shut_down

# Sent with BEGIN as one simple query: one round trip. SET LOCAL also works behind a
# pooler that assigns a server connection per transaction. The isolation level and these
# settings may have other defaults for a database or a role:
# - timezone: decides how a timestamp is shown and compared;
# - row_security = off: hidden rows raise an error instead of missing from the answer;
# - jit = off: compiling a query that disables plans takes a quarter of a second;
# - quote_all_identifiers = off: names of types come unquoted.
SETTINGS = (
    " SET LOCAL statement_timeout = {timeout_ms}; SET LOCAL row_security = off;"
    " SET LOCAL timezone = 'UTC'; SET LOCAL jit = off;"
    " SET LOCAL quote_all_identifiers = off"
)
BEGIN_SNAPSHOT = SQL("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;" + SETTINGS)
BEGIN_WRITE = SQL("BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE;" + SETTINGS)
# A DO block has no result that COPY would stumble over.
CHECK_MODEL = SQL(
    "; SET LOCAL recommender.model = {}; DO $$BEGIN PERFORM recommender.check_model("
    "current_setting('recommender.model')); END$$"
)
XID = SQL("SELECT pg_current_xact_id_if_assigned()::text")
STATUS = SQL("SELECT pg_xact_status(%(xid)s::text::xid8)")
PAUSE_S = 0.05


class Database:
    """Opens transactions, each with a deadline."""

    def __init__(self, dsn: str, *, pool_size: int) -> None:
        """Raises ConfigError for an invalid connection string."""
        check_dsn(dsn)
        self.pool = ConnectionPool(dsn, size=pool_size)
        self._watchdog = Watchdog()

    @contextmanager
    def snapshot(
        self, deadline: Deadline, *, model: str | None = None
    ) -> Iterator[Transaction]:
        """A read-only transaction on one snapshot of the database.

        Raises ModelSwitchedError if another model than `model` is in use there, and
        only subclasses of AppError: DatabaseUnavailableError and its subclasses,
        DeadlineExceededError, SchemaError.
        """
        with self._transaction(BEGIN_SNAPSHOT, deadline, model=model) as transaction:
            yield transaction

    @contextmanager
    def write(self, deadline: Deadline) -> Iterator[Transaction]:
        """A read-write transaction, committed at the end of the block.

        If the connection breaks during COMMIT, another connection checks the outcome.
        Raises CommitUnknownError if that fails until the deadline.
        """
        try:
            with self._transaction(BEGIN_WRITE, deadline) as transaction:
                yield transaction
        except _CommitBrokenError as error:
            if not self._was_committed(error.xid, deadline):
                raise

    def close(self) -> None:
        """Close all connections and end the watchdog."""
        self._watchdog.close()
        self.pool.close()

    @contextmanager
    def _transaction(
        self, start: SQL, deadline: Deadline, *, model: str | None = None
    ) -> Iterator[Transaction]:
        deadline.check("waiting for the database")
        with connection_errors(), self.pool.connection(deadline) as lent:
            timeout_ms = max(1, int(deadline.remaining_s() * 1000))
            with (
                self._watchdog.watch(lent.fileno(), deadline),
                _clean_after(lent),
                lent.cursor() as cur,
            ):
                try:
                    begin = start.format(timeout_ms=Literal(timeout_ms))
                    if model is not None:
                        begin += CHECK_MODEL.format(Literal(model))
                    transaction = Transaction(cur, begin)
                    yield transaction
                    _commit(transaction, cur, is_write=start is BEGIN_WRITE)
                except psycopg2.Error as error:
                    raise translate(
                        error,
                        broken=bool(lent.closed),
                        is_standby=start is BEGIN_WRITE and _is_standby(lent),
                    ) from error

    def _was_committed(self, xid: str, deadline: Deadline) -> bool:
        """Whether a transaction was committed.

        It may still be in progress: the server notices a lost client late.
        """
        while True:
            try:
                with self.snapshot(deadline) as transaction:
                    status = transaction.rows(STATUS, {"xid": xid})[0][0]
            except UnavailableError as error:
                if deadline.remaining_s() <= PAUSE_S:
                    raise CommitUnknownError(
                        "The connection broke while the database stored the change,"
                        " and its outcome is unknown. Repeat the change: nothing is"
                        " stored twice."
                    ) from error
                status = "in progress"
            if status != "in progress":
                return bool(status == "committed")
            time.sleep(min(PAUSE_S, deadline.remaining_s()))


class _CommitBrokenError(ConnectionLostError):
    """The connection broke during COMMIT; `xid` is the transaction's."""

    def __init__(self, xid: str) -> None:
        super().__init__(
            "The database closed the connection before the change was stored;"
            " try again in a moment."
        )
        self.xid = xid


def _commit(transaction: Transaction, cur: Cursor, *, is_write: bool) -> None:
    """Commit an open transaction. A lost connection matters only after writes."""
    if not transaction.is_open:
        return
    # None if nothing was written.
    xid = transaction.rows(XID)[0][0] if is_write else None
    try:
        cur.execute("COMMIT")
    except psycopg2.Error as error:
        if not is_lost(error, broken=bool(cur.connection.closed)):
            raise
        if xid is not None:
            raise _CommitBrokenError(xid) from error


@contextmanager
def connection_errors() -> Iterator[None]:
    """Translate the driver's errors while connecting, or on a listening connection."""
    try:
        yield
    except psycopg2.Error as error:
        raise translate_refusal(error) from error


@contextmanager
def _clean_after(lent: Connection) -> Iterator[None]:
    """Leave the connection idle or closed, never inside a transaction."""
    try:
        yield
    finally:
        _leave_transaction(lent)


def _is_standby(lent: Connection) -> bool:
    """Whether its server said so last; from Postgres 14 on."""
    return not lent.closed and lent.info.parameter_status("in_hot_standby") == "on"


def _leave_transaction(lent: Connection) -> None:
    if lent.closed:
        return
    try:
        status = lent.info.transaction_status
        if status == TRANSACTION_STATUS_ACTIVE:
            # In the middle of a COPY. A rollback would first read the rest of the
            # table, and cancel() opens a second connection without a time-out. Only
            # closing the socket never blocks; the server ends the COPY at its next
            # write.
            shut_down(lent.fileno())
            lent.close()
        elif status != TRANSACTION_STATUS_IDLE:
            with lent.cursor() as cur:
                cur.execute("ROLLBACK")
    except psycopg2.Error:
        lent.close()
