"""F120: the outcome of a commit is known even if the connection breaks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from psycopg2.sql import SQL

from app.deadline import Deadline
from app.errors import CommitUnknownError, ConnectionLostError, RowRejectedError
from app.storage.connection.database import Database
from tests.support.cluster import socket_of
from tests.support.postgres import run
from tests.support.proxy import Proxy, running_proxy

# The answer to COMMIT: CommandComplete and ReadyForQuery.
COMMITTED_BYTES = 12 + 6
ADD = SQL("INSERT INTO skill_job1 (job_id, skills) VALUES ({}, 'a')")


@pytest.fixture
def proxied(database_url: str) -> Iterator[tuple[Proxy, Database]]:
    name = database_url.split("?", maxsplit=1)[0].rsplit("/", maxsplit=1)[-1]
    with running_proxy(socket_of(database_url)) as proxy:
        # One connection, as the scripts have it: asking must not wait for itself.
        database = Database(proxy.url(name), pool_size=1)
        yield proxy, database
        database.close()


@contextmanager
def adding(database: Database, number: int, *, within_s: float = 60) -> Iterator[None]:
    with database.write(Deadline.after(within_s)) as transaction:
        transaction.execute(ADD.format(SQL(str(number))))
        yield


def measured(proxy: Proxy, database: Database) -> int:
    """The bytes of the response to a commit, and those before it."""
    with adding(database, 1):
        before = proxy.downstream_bytes
    return proxy.downstream_bytes - before


def stored(url: str) -> list[int]:
    return [n for (n,) in run(url, "SELECT job_id FROM skill_job1 ORDER BY job_id")]


@pytest.mark.parametrize("fault", [Proxy.cut, Proxy.reset])
def test_f120_a_commit_whose_answer_is_lost_was_a_commit(
    proxied: tuple[Proxy, Database],
    database_url: str,
    fault: Callable[[Proxy], None],
) -> None:
    proxy, database = proxied
    warm_up(database)
    answers = measured(proxy, database)
    with adding(database, 2):
        proxy.after_bytes(answers - COMMITTED_BYTES + 1, lambda: fault(proxy))
    assert proxy.sprung.is_set()
    assert stored(database_url) == [1, 2]
    assert database.pool.in_use == 0


def test_f120_a_commit_that_never_was_is_a_failure(
    proxied: tuple[Proxy, Database], database_url: str
) -> None:
    _, database = proxied
    run(
        database_url,
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON skill_job1"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()",
    )
    with pytest.raises(ConnectionLostError) as raised, adding(database, 1):
        pass
    assert "before the change was stored" in str(raised.value)
    assert stored(database_url) == []


def test_f120_an_outcome_that_cannot_be_checked_is_reported_as_unknown(
    proxied: tuple[Proxy, Database], database_url: str
) -> None:
    proxy, database = proxied
    warm_up(database)
    answers = measured(proxy, database)
    with (
        pytest.raises(CommitUnknownError, match="its outcome is unknown"),
        adding(database, 2, within_s=1),
    ):
        proxy.after_bytes(answers - COMMITTED_BYTES + 1, proxy.refuse)
    assert stored(database_url) == [1, 2]


def test_f120_a_commit_that_the_database_refuses_is_refused(
    proxied: tuple[Proxy, Database], database_url: str
) -> None:
    _, database = proxied
    run(
        database_url,
        "ALTER TABLE skill_job1 ADD other bigint UNIQUE DEFERRABLE INITIALLY DEFERRED"
        " DEFAULT 7",
    )
    with adding(database, 1):
        pass
    with pytest.raises(RowRejectedError), adding(database, 2):
        pass
    assert stored(database_url) == [1]


def test_f120_a_read_is_complete_even_if_its_commit_is_lost(
    proxied: tuple[Proxy, Database],
) -> None:
    proxy, database = proxied
    warm_up(database)
    with database.snapshot(Deadline.after(60)) as transaction:
        found = transaction.rows(SQL("SELECT 1"))
        proxy.after_bytes(1, proxy.cut)
    assert found == [(1,)]
    warm_up(database)


def warm_up(database: Database) -> None:
    with database.snapshot(Deadline.after(60)) as transaction:
        transaction.rows(SQL("SELECT 1"))
