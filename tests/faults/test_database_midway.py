"""Database faults in the middle of a scan: closed, stalled, locked."""

import threading
import time
from collections.abc import Callable
from contextlib import closing

import psycopg2
import pytest

from app.deadline import Deadline
from app.errors import ConnectionLostError, DeadlineExceededError
from app.storage.connection.database import Database
from tests.faults.conftest import (
    QUESTION,
    TIMEOUT_S,
    assert_unavailable,
    wait_for_answer,
)
from tests.support.cluster import DATABASE, Cluster
from tests.support.metrics import metric, wait_for_metric
from tests.support.postgres import run
from tests.support.proxy import Proxy
from tests.support.service import Service
from tests.support.waiting import wait_until

MIDWAY_BYTES = 2_000_000
SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE application_name = 'job-recommender' AND state <> 'idle'"
)


def break_off(how: str, proxy: Proxy, cluster: Cluster) -> None:
    """Ways to end a connection: a message, an end of file, or a reset."""
    if how == "terminated":
        run(
            cluster.url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'job-recommender'",
        )
    elif how == "closed":
        proxy.cut()
    else:
        proxy.reset()


@pytest.mark.parametrize("how", ["terminated", "closed", "reset"])
def test_f37_f40_a_connection_lost_in_mid_scan_is_replaced_once(
    healthy: Service, proxy: Proxy, cluster: Cluster, expected: object, how: str
) -> None:
    proxy.after_bytes(MIDWAY_BYTES, lambda: break_off(how, proxy, cluster))
    response = healthy.recommend(**QUESTION)
    assert proxy.sprung.is_set()
    assert (response.status_code, response.json()) == (200, expected)


@pytest.mark.parametrize("how", ["terminated", "closed", "reset"])
def test_f37_f40_a_connection_lost_twice_is_503_and_never_part_of_an_answer(
    healthy: Service, proxy: Proxy, cluster: Cluster, expected: object, how: str
) -> None:
    fault = repeated(lambda: break_off(how, proxy, cluster), proxy)
    proxy.after_bytes(MIDWAY_BYTES, fault)
    assert_unavailable(healthy.recommend(**QUESTION))
    assert metric(healthy, "recommender_pool_in_use") == 0
    proxy.after_bytes(2**60, fault)
    assert wait_for_answer(healthy).json() == expected


def repeated(fault: Callable[[], None], proxy: Proxy) -> Callable[[], None]:
    """The fault, armed again after each time."""

    def strike() -> None:
        proxy.after_bytes(MIDWAY_BYTES, strike)
        fault()

    return strike


def test_f39_a_stream_that_stalls_frees_its_thread_and_connection_at_the_deadline(
    healthy: Service, proxy: Proxy, expected: object
) -> None:
    proxy.after_bytes(MIDWAY_BYTES, proxy.stall)
    start = time.monotonic()
    assert_unavailable(healthy.recommend(**QUESTION))
    assert proxy.sprung.is_set()
    assert time.monotonic() - start < TIMEOUT_S + 1
    # Still stalled: only the watchdog can have closed it.
    wait_for_metric(healthy, "recommender_pool_in_use", 0, within_s=2)
    proxy.restore()
    response = healthy.recommend(**QUESTION)
    assert (response.status_code, response.json()) == (200, expected)


def test_f39_the_watchdog_ends_a_call_that_hangs_in_recv(
    proxy: Proxy, cluster: Cluster
) -> None:
    database = Database(proxy.url(DATABASE), pool_size=1)
    one = psycopg2.sql.SQL("SELECT 1")
    with database.snapshot(Deadline.after(30)) as transaction:
        transaction.rows(one)
    proxy.stall()
    start = time.monotonic()
    with (
        pytest.raises(ConnectionLostError),
        database.snapshot(Deadline.after(0.3)) as transaction,
    ):
        transaction.rows(one)
    assert 0.3 < time.monotonic() - start < 5
    assert database.pool.in_use == 0
    proxy.restore()
    with database.snapshot(Deadline.after(30)) as transaction:
        assert transaction.rows(one) == [(1,)]
    database.close()


def test_f41_a_scan_slower_than_the_deadline_is_503_that_says_so(
    healthy: Service, proxy: Proxy, cluster: Cluster, expected: object
) -> None:
    proxy.slow(0.05)  # 16 KB in 50 ms: the whole table would take 19 s
    response = healthy.recommend(**QUESTION)
    assert_unavailable(response)
    assert "deadline" in response.json()["detail"]
    proxy.restore()
    assert wait_for_answer(healthy).json() == expected


def test_f41_the_database_ends_a_query_at_its_statement_timeout(
    cluster: Cluster,
) -> None:
    database = Database(cluster.url, pool_size=1)
    with (
        pytest.raises(DeadlineExceededError, match="at its statement timeout"),
        database.snapshot(Deadline.after(0.3)) as transaction,
    ):
        transaction.rows(psycopg2.sql.SQL("SELECT pg_sleep(30)"))
    assert database.pool.in_use == 0
    database.close()


@pytest.mark.parametrize("table", ["skill_job1", "users"])
def test_f42_a_locked_table_is_waited_for_until_the_deadline(
    healthy: Service, cluster: Cluster, table: str
) -> None:
    with closing(psycopg2.connect(cluster.url)) as locker:
        with locker.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        start = time.monotonic()
        assert_unavailable(healthy.recommend(user_id=1))
        assert time.monotonic() - start < TIMEOUT_S + 1
        assert healthy.client.get("/healthz").status_code == 200
        # The database cancelled the statements too: nothing waits for the lock.
        wait_until(lambda: run(cluster.url, SESSIONS) == [(0,)])
    assert healthy.recommend(user_id=1).status_code == 200


def test_f42_a_lock_released_in_time_only_delays_the_answer(
    healthy: Service, cluster: Cluster, expected: object
) -> None:
    with closing(psycopg2.connect(cluster.url)) as locker:
        with locker.cursor() as cursor:
            cursor.execute("LOCK TABLE skill_job1 IN ACCESS EXCLUSIVE MODE")
        answers: list[object] = []
        caller = threading.Thread(
            target=lambda: answers.append(healthy.recommend(**QUESTION).json())
        )
        caller.start()
        wait_until(lambda: run(cluster.url, SESSIONS) == [(1,)])
        locker.rollback()
        caller.join()
    assert answers == [expected]
