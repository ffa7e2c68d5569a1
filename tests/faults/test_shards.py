"""A shard that is killed, restarted or stalled: only 200 and 503, in time."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from psycopg2.extensions import make_dsn

from tests.faults.conftest import QUESTION, TIMEOUT_S, wait_for_answer
from tests.support.bulk import fill_jobs
from tests.support.postgres import run
from tests.support.proxy import Proxy, running_proxy
from tests.support.service import Service, running_service
from tests.support.shards import Databases, Fleet, running_fleet, socket_of_node
from tests.support.waiting import be_slow, wait_until

pytestmark = pytest.mark.alone

JOBS = 3000
CLIENTS = 8
# Added to the deadline: noise of a busy machine.
SLACK_S = 1.5
RECOVERED_WITHIN_S = 30.0


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        yield fleet


@pytest.fixture(scope="module")
def proxy(fleet: Fleet) -> Iterator[Proxy]:
    """Between the coordinator and its second shard."""
    with running_proxy(socket_of_node(fleet.shards[1])) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def laid_out(
    fleet: Fleet, proxy: Proxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Databases]:
    with fleet.fresh() as databases, pytest.MonkeyPatch.context() as patched:
        patched.setenv("DATABASE_URL", databases.url)
        fill_jobs(databases.url, JOBS)
        two = make_dsn(databases.shards["two"], host="127.0.0.1", port=proxy.port)
        behind = Databases(databases.url, {**databases.shards, "two": two})
        assert behind.lay_out(tmp_path_factory.mktemp("layout")) == 0
        yield behind


@pytest.fixture(scope="module")
def service(
    laid_out: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    log_file = tmp_path_factory.mktemp("service") / "log"
    with running_service(
        laid_out.url, log_file, REQUEST_TIMEOUT_S=str(TIMEOUT_S)
    ) as service:
        wait_for_answer(service)
        yield service


@pytest.fixture(scope="module")
def expected(service: Service) -> object:
    found = wait_for_answer(service).json()
    assert found["total_jobs_analyzed"] == JOBS
    return found


class Seen:
    """The answers to clients that ask without pause."""

    def __init__(self) -> None:
        self.answers: list[tuple[float, int, float, str]] = []

    def count(self, status: int, *, since: float) -> int:
        return sum(
            at >= since and found == status for at, found, _, _ in list(self.answers)
        )

    def wait_for(self, status: int) -> float:
        """Seconds until an answer with this status came that was asked for now."""
        now = time.monotonic()
        wait_until(
            lambda: self.count(status, since=now) > 0,
            within_s=RECOVERED_WITHIN_S,
            failing=lambda: f"no answer {status} came",
        )
        return time.monotonic() - now

    def check(self, expected: object) -> None:
        """Only 200 and 503; no 200 is partial, and none comes after its deadline."""
        assert {status for _, status, _, _ in self.answers} <= {200, 503}
        for _, status, took_s, body in self.answers:
            assert took_s < TIMEOUT_S + SLACK_S, (status, body)
        for body in {body for _, status, _, body in self.answers if status == 200}:
            assert json.loads(body) == expected


@contextmanager
def load(service: Service) -> Iterator[Seen]:
    seen, done = Seen(), threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=service.client.base_url, timeout=60) as client:
            while not done.is_set():
                start = time.monotonic()
                found = client.post("/api/recommend", json=QUESTION)
                took_s = time.monotonic() - start
                seen.answers.append((start, found.status_code, took_s, found.text))
                if found.status_code == 503:
                    be_slow(0.05)

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        done.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_shard_that_ends_and_returns_gives_503_and_then_whole_answers(
    service: Service, fleet: Fleet, expected: object, end: str
) -> None:
    shard = fleet.shards[0]
    with load(service) as seen:
        seen.wait_for(200)
        getattr(shard, end)()
        seen.wait_for(503)
        shard.start()
        print(f"answered {seen.wait_for(200):.2f} s after the shard's return")
    seen.check(expected)


def test_a_stalled_shard_costs_each_caller_its_deadline_and_no_more(
    service: Service, proxy: Proxy, expected: object
) -> None:
    with load(service) as seen:
        seen.wait_for(200)
        proxy.stall()
        seen.wait_for(503)
        # Once more, with connections that were opened while it was stalled.
        seen.wait_for(503)
        proxy.restore()
        print(f"answered {seen.wait_for(200):.2f} s after the shard's return")
    seen.check(expected)


def test_a_shard_that_resets_connections_gives_no_partial_answer(
    service: Service, proxy: Proxy, expected: object
) -> None:
    with load(service) as seen:
        seen.wait_for(200)
        for _ in range(5):
            proxy.after_bytes(1_000_000, proxy.reset)
            wait_until(proxy.sprung.is_set, within_s=RECOVERED_WITHIN_S)
        seen.wait_for(200)
    seen.check(expected)


def test_the_coordinator_keeps_free_connections_while_a_shard_is_stalled(
    service: Service, proxy: Proxy, laid_out: Databases, expected: object
) -> None:
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    )
    with load(service) as seen:
        proxy.stall()
        for _ in range(3):
            seen.wait_for(503)
        ((used,),) = run(laid_out.url, query)
        proxy.restore()
        seen.wait_for(200)
    seen.check(expected)
    # Those that wait for the shard end soon after their client has.
    assert used < 40
