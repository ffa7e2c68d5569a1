"""F48: the limit of 110 MB, enforced by the kernel, including the page cache."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import psycopg2
import pytest

from app.backfill.vectors import VectorFilling
from app.commands.build_vector_index import main as build_vector_index
from app.commands.migrate import migrate
from app.storage.connection.database import Database
from benchmarks.cgroup import NoCgroupError, drop_caches, limited
from benchmarks.load import closed_loop
from benchmarks.memory import LIMIT_BYTES, inside
from tests.support.machine import leave_out
from tests.support.postgres import Server, fresh_database, run
from tests.support.rows import VERSION
from tests.support.service import running_service

JOBS = 100_000
USERS = 100
CLIENTS = 64
SECONDS = 20

# Generous: benchmarks measure the speed, and a busy machine must not fail the test.
PATIENT = {"REQUEST_TIMEOUT_S": "120"}


@pytest.fixture(scope="module")
def large_table(postgres: Server) -> Iterator[str]:
    """100,000 jobs with random embeddings, 100 users with texts."""
    with fresh_database(postgres) as url:
        random = np.random.default_rng(1)
        with psycopg2.connect(url) as connection, connection.cursor() as cursor:
            for start in range(0, JOBS, 5000):
                ids = list(range(start, start + 5000))
                rows = random.standard_normal((len(ids), 384)).astype("<f4")
                cursor.execute(
                    "INSERT INTO skill_job1"
                    " (job_id, skills, embedding, embedding_version)"
                    " SELECT id, 'skill ' || id, embedding, %s"
                    " FROM unnest(%s::bigint[], %s::bytea[]) AS new (id, embedding)",
                    (VERSION, ids, [row.tobytes() for row in rows]),
                )
        connection.close()
        run(
            url,
            "INSERT INTO users (user_id, skills)"
            " SELECT n, 'skill ' || n FROM generate_series(1, %s) AS n",
            (USERS,),
        )
        yield url


@pytest.fixture(scope="module")
def searched_table(large_table: str, search_backend: str) -> str:
    """The same, with what the backend needs: the stream is tested first."""
    if search_backend == "pgvector":
        _index(large_table)
    return large_table


def _index(url: str) -> None:
    """Vectors and an index that builds quickly; recall does not matter here."""
    list(migrate(url, extras=["pgvector"]))
    with closing(Database(url, pool_size=1)) as database:
        for _ in VectorFilling(database, version=VERSION, stop=Event()).run():
            pass
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", url)
        assert build_vector_index(["--m", "4", "--ef-construction", "16"]) == 0


def question(number: int) -> dict[str, Any]:
    return {"user_id": 1 + number % USERS, "top_n": 10}


@pytest.mark.timeout(900)
def test_f48_64_clients_at_100000_jobs_stay_inside_110_mb(
    searched_table: str, tmp_path: Path
) -> None:
    expected: dict[int, dict[str, Any]] = {}

    def remember(asked: dict[str, Any], answer: dict[str, Any]) -> None:
        expected[asked["user_id"]] = answer

    with running_service(searched_table, tmp_path / "free.log", **PATIENT) as free:
        closed_loop(free.port, question, clients=4, requests=USERS, check=remember)
    differing: list[int] = []

    def compare(asked: dict[str, Any], answer: dict[str, Any]) -> None:
        if answer != expected[asked["user_id"]]:
            differing.append(asked["user_id"])

    try:
        group_of = limited(f"job-recommender-{os.getpid()}", memory_bytes=LIMIT_BYTES)
        with group_of as group:
            drop_caches()
            with running_service(
                searched_table,
                tmp_path / "tight.log",
                wrapper=inside(group),
                **PATIENT,
            ) as tight:
                load = closed_loop(
                    tight.port,
                    question,
                    clients=CLIENTS,
                    seconds=SECONDS,
                    check=compare,
                )
                assert tight.process.poll() is None
            assert group.oom_kills() == 0
            assert group.peak_bytes() <= LIMIT_BYTES
    except NoCgroupError as error:
        leave_out("a cgroup for the memory limit", remedy=str(error))
    assert set(load.statuses) == {200}
    assert len(load.latencies_s) > CLIENTS
    assert not differing
