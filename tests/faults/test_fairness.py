"""One caller beside others with expensive requests: new skills, batches of users."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg2
import pytest

from tests.support.bulk import fill_jobs
from tests.support.metrics import metric
from tests.support.postgres import Server, fresh_database
from tests.support.rows import add_users
from tests.support.service import Service, running_service
from tests.support.waiting import wait_until

CLIENTS = 8
KEYS = ("the-first-key-of-this-test", "the-second-key-of-this-test")


@pytest.fixture(scope="module")
def url(postgres: Server) -> Iterator[str]:
    with fresh_database(postgres) as url:
        fill_jobs(url, 2000)
        add_users(url, dict.fromkeys(range(1, 65), "python, sql"))
        yield url


@contextmanager
def locked(url: str, table: str) -> Iterator[None]:
    """Lock the table, so that nobody can read it."""
    connection = psycopg2.connect(url)
    try:
        connection.cursor().execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
    finally:
        connection.close()


def new_skills(client: int) -> dict[str, object]:
    names = (f"skill {client} number {number}" for number in range(64))
    return {"skills": ", ".join(names), "rank_by": "skills"}


BATCH: dict[str, object] = {"user_ids": list(range(1, 65))}
HEAVY: dict[str, tuple[str, Callable[[int], dict[str, object]]]] = {
    "new skills": ("/api/recommend", new_skills),
    "batches that explain": (
        "/api/recommend/batch",
        lambda _: {**BATCH, "rank_by": "skills", "explain": True},
    ),
}


@pytest.mark.parametrize("heavy", HEAVY)
def test_f124_a_stored_user_is_answered_while_expensive_requests_wait(
    url: str, tmp_path: Path, heavy: str
) -> None:
    path, body = HEAVY[heavy]
    with (
        running_service(url, tmp_path / "log", REQUEST_TIMEOUT_S="20") as service,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        assert service.recommend(user_id=1).status_code == 200
        with locked(url, "recommender.skill_vocabulary"):
            waiting: list[Future[httpx.Response]] = [
                pool.submit(service.client.post, path, json=body(client))
                for client in range(CLIENTS)
            ]
            wait_until(lambda: metric(service, "recommender_queue_depth") > 0)
            for user in range(1, 65):
                assert service.recommend(user_id=user).status_code == 200
            assert not all(each.done() for each in waiting)
        assert {each.result().status_code for each in waiting} <= {200, 503}


@pytest.mark.parametrize("keys", [(), KEYS], ids=["connections", "keys"])
def test_f124_one_query_is_answered_beside_loops_of_batches(
    url: str, tmp_path: Path, keys: tuple[str, ...]
) -> None:
    done = threading.Event()
    statuses: list[int] = []

    def ask_for_batches(service: Service) -> None:
        headers = {"X-API-Key": keys[0]} if keys else {}
        base_url = f"http://127.0.0.1:{service.port}"
        with httpx.Client(base_url=base_url, headers=headers, timeout=60) as client:
            while not done.is_set():
                answer = client.post("/api/recommend/batch", json=BATCH)
                statuses.append(answer.status_code)

    with (
        running_service(
            url, tmp_path / "log", API_KEYS=",".join(keys), MAX_QUEUE_SIZE="128"
        ) as service,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        service.client.headers.update({"X-API-Key": keys[1]} if keys else {})
        assert service.recommend(user_id=1).status_code == 200
        try:
            for _ in range(CLIENTS):
                pool.submit(ask_for_batches, service)
            wait_until(lambda: len(statuses) >= CLIENTS)
            found = [service.recommend(user_id=user) for user in range(1, 33)]
        finally:
            done.set()
    assert [each.status_code for each in found] == [200] * len(found)
    assert 200 in statuses


def test_f124_a_rate_counts_each_user_of_a_batch_and_new_skills(
    url: str, tmp_path: Path
) -> None:
    with running_service(
        url, tmp_path / "log", API_KEYS=",".join(KEYS), RATE_LIMIT_PER_MINUTE="6"
    ) as service:

        def post(path: str, body: dict[str, object], key: str) -> httpx.Response:
            return service.client.post(path, json=body, headers={"X-API-Key": key})

        # A full rate pays for any request; the key then owes the rest.
        assert post("/api/recommend/batch", BATCH, KEYS[0]).status_code == 200
        refused = post("/api/recommend", {"user_id": 1}, KEYS[0])
        assert refused.status_code == 429
        assert 500 <= int(refused.headers["Retry-After"]) <= 590  # 64 - 6 + 1 units
        # The other key has its own rate; 64 new skills are 1 + 64 / 16 units of it.
        assert post("/api/recommend", new_skills(1), KEYS[1]).status_code == 200
        refused = post("/api/recommend", new_skills(2), KEYS[1])
        assert refused.status_code == 429
        assert 40 <= int(refused.headers["Retry-After"]) <= 50  # 5 units, one was left
