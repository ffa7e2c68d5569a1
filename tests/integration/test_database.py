"""Transactions, the pool, and what becomes of the driver's errors."""

import threading

import pytest
from psycopg2.sql import SQL

from app.deadline import Deadline
from app.errors import (
    AppError,
    ConnectionLostError,
    DatabaseUnavailableError,
    DeadlineExceededError,
    SchemaError,
)
from app.storage.connection.database import Database
from tests.support.postgres import run

SOON = Deadline.after(3600)
BACKEND = SQL("SELECT pg_backend_pid()")


def backend(database: Database) -> int:
    with database.snapshot(SOON) as transaction:
        pid: int = transaction.rows(BACKEND)[0][0]
        return pid


def test_a_connection_is_reused(database: Database) -> None:
    assert backend(database) == backend(database)


def test_callers_beyond_the_pool_wait_until_their_deadline(database_url: str) -> None:
    database = Database(database_url, pool_size=1)
    with (
        database.snapshot(SOON),
        pytest.raises(DatabaseUnavailableError) as raised,
        database.snapshot(Deadline.after(0.05)),
    ):
        pass
    assert str(raised.value) == (
        "All 1 database connections stayed busy until the deadline; try again in a"
        " moment."
    )
    assert (database.pool.in_use, database.pool.waiting) == (0, 0)
    database.close()


def test_a_caller_that_waits_gets_the_connection_that_comes_back(
    database_url: str,
) -> None:
    database = Database(database_url, pool_size=1)
    pids: list[int] = []
    with database.snapshot(SOON) as transaction:
        waiter = threading.Thread(target=lambda: pids.append(backend(database)))
        waiter.start()
        first = transaction.rows(BACKEND)[0][0]
    waiter.join(30)
    assert pids == [first]
    database.close()


def test_f36_a_connection_that_died_while_idle_is_replaced_before_use(
    database: Database, database_url: str
) -> None:
    first = backend(database)
    run(database_url, SQL("SELECT pg_terminate_backend(%s, 10000)"), (first,))
    assert backend(database) != first


def test_f37_a_backend_that_is_terminated_in_use_leaks_no_slot(
    database_url: str,
) -> None:
    database = Database(database_url, pool_size=1)
    for _ in range(3):
        with (
            pytest.raises(ConnectionLostError),
            database.snapshot(SOON) as transaction,
        ):
            pid = transaction.rows(BACKEND)[0][0]
            run(database_url, SQL("SELECT pg_terminate_backend(%s, 10000)"), (pid,))
            transaction.rows(BACKEND)
    assert database.pool.in_use == 0
    assert backend(database) > 0
    database.close()


def test_an_error_of_the_caller_rolls_back_and_keeps_the_connection(
    database: Database, database_url: str
) -> None:
    first = backend(database)
    with pytest.raises(ZeroDivisionError), database.write(SOON) as transaction:
        transaction.execute(SQL("INSERT INTO users (user_id) VALUES (1)"))
        raise ZeroDivisionError
    assert run(database_url, "SELECT count(*) FROM users") == [(0,)]
    assert backend(database) == first


def test_a_write_is_committed(database: Database, database_url: str) -> None:
    with database.write(SOON) as transaction:
        transaction.execute(SQL("INSERT INTO users (user_id) VALUES (1)"))
    assert run(database_url, "SELECT count(*) FROM users") == [(1,)]


def test_a_snapshot_cannot_write(database: Database) -> None:
    with (
        pytest.raises(AppError, match="SQLSTATE 25006"),
        database.snapshot(SOON) as transaction,
    ):
        transaction.execute(SQL("INSERT INTO users (user_id) VALUES (1)"))


def test_f41_a_statement_beyond_the_deadline_says_so(database: Database) -> None:
    with (
        pytest.raises(DeadlineExceededError, match="at its statement timeout"),
        database.snapshot(Deadline.after(0.2)) as transaction,
    ):
        transaction.rows(SQL("SELECT pg_sleep(30)"))
    assert backend(database) > 0


def test_f34_a_database_that_refuses_is_unavailable() -> None:
    database = Database("postgresql://u:secret@127.0.0.1:1/x", pool_size=1)
    with (
        pytest.raises(DatabaseUnavailableError) as raised,
        database.snapshot(SOON),
    ):
        pass
    assert str(raised.value) == "The database cannot be reached; try again in a moment."
    assert database.pool.in_use == 0


def test_after_its_deadline_a_transaction_sends_nothing() -> None:
    database = Database("postgresql://127.0.0.1:1/x", pool_size=1)
    with pytest.raises(DeadlineExceededError), database.snapshot(Deadline.after(0)):
        pass


def test_f44_a_missing_table_is_a_schema_error(database: Database) -> None:
    with (
        pytest.raises(SchemaError, match=r"lacks a table .* scripts/migrate.py"),
        database.snapshot(SOON) as transaction,
    ):
        transaction.rows(SQL("SELECT 1 FROM nowhere"))


def test_a_copy_that_the_sink_ends_does_not_read_the_rest(database: Database) -> None:
    class Full:
        def __init__(self) -> None:
            self.rows = 0

        def write(self, _data: bytes, /) -> None:
            self.rows += 1
            raise BufferError

    sink = Full()
    with pytest.raises(BufferError), database.snapshot(SOON) as transaction:
        transaction.copy_out(SQL("SELECT generate_series(1, 100000000)"), sink)
    assert sink.rows == 1
    assert database.pool.in_use == 0
    assert backend(database) > 0
