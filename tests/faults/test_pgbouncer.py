"""PgBouncer in transaction mode."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg2
import pytest

from app.backfill import Backfill
from app.storage.connection.database import Database
from tests.faults.conftest import (
    QUESTION,
    TIMEOUT_S,
    assert_unavailable,
    wait_for_answer,
)
from tests.support.cluster import DATABASE, Cluster
from tests.support.encoders import HashEncoder
from tests.support.pgbouncer import running_pgbouncer
from tests.support.postgres import run
from tests.support.service import Service, running_service

MAX_CLIENTS = 12


@pytest.fixture(scope="module")
def pooler_port(pgbouncer: Path, cluster: Cluster) -> Iterator[int]:
    with running_pgbouncer(pgbouncer, cluster.socket, max_clients=MAX_CLIENTS) as port:
        yield port


@pytest.fixture(scope="module")
def pooled_url(pooler_port: int) -> str:
    return f"postgresql://postgres:@127.0.0.1:{pooler_port}/{DATABASE}"


@pytest.fixture(scope="module")
def pooled(
    pooled_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    log_file = tmp_path_factory.mktemp("pooled") / "log"
    with running_service(
        pooled_url, log_file, REQUEST_TIMEOUT_S=str(TIMEOUT_S)
    ) as service:
        yield service


def test_f47_answers_behind_a_pooler_are_those_without_one(
    pooled: Service, cluster: Cluster, tmp_path: Path
) -> None:
    wait_for_answer(pooled)
    through = pooled.recommend(user_id=1, top_n=50).json()
    assert pooled.client.get("/readyz").status_code == 200
    with running_service(cluster.url, tmp_path / "log") as direct:
        assert direct.recommend(user_id=1, top_n=50).json() == through
    assert len(through["recommendations"]) == 50


def test_f47_parallel_requests_share_the_poolers_few_connections(
    pooled: Service,
) -> None:
    expected = wait_for_answer(pooled).json()
    answers: list[object] = []
    callers = [
        threading.Thread(
            target=lambda: answers.append(pooled.recommend(**QUESTION).json())
        )
        for _ in range(16)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert answers == [expected] * 16


def test_f47_the_deadline_holds_and_leaves_nothing_in_the_next_transaction(
    pooled: Service, pooled_url: str, cluster: Cluster
) -> None:
    with closing(psycopg2.connect(cluster.url)) as locker:
        with locker.cursor() as cursor:
            cursor.execute("LOCK TABLE skill_job1 IN ACCESS EXCLUSIVE MODE")
        assert_unavailable(pooled.recommend(**QUESTION))
    wait_for_answer(pooled)
    # SET LOCAL ended with its transaction on each of the pooler's connections.
    for _ in range(6):
        assert run(pooled_url, "SHOW statement_timeout") == [("0",)]
        assert run(pooled_url, "SHOW row_security") == [("on",)]


def test_f47_the_backfill_works_behind_a_pooler(
    pooled_url: str, cluster: Cluster
) -> None:
    run(cluster.url, "INSERT INTO skill_job1 (job_id, skills) VALUES (900001, 'new')")
    database = Database(pooled_url, pool_size=1)
    backfill = Backfill(database, HashEncoder(), batch_size=512)
    done = sum(p.embedded for p in backfill.run())
    database.close()
    assert done == 1
    run(cluster.url, "DELETE FROM skill_job1 WHERE job_id = 900001")


def test_f46_too_many_connections_at_the_pooler_are_503_and_pass(
    pooled_url: str, cluster: Cluster, tmp_path: Path
) -> None:
    with running_service(pooled_url, tmp_path / "log") as service:
        with ExitStack() as stack:
            try:
                for _ in range(MAX_CLIENTS + 1):
                    stack.enter_context(closing(psycopg2.connect(pooled_url)))
            except psycopg2.OperationalError:
                pass  # now it is full
            response = service.recommend(**QUESTION)
            assert_unavailable(response)
            assert response.json()["detail"].startswith(
                "The database has no free connection"
            )
        wait_for_answer(service)
