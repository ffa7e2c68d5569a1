"""Load, failures, queues, memory, descriptors."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import httpx
import psutil
import pytest

from tests.faults.conftest import QUESTION, assert_unavailable, wait_for_answer
from tests.support.bulk import fill_jobs
from tests.support.cluster import DATABASE
from tests.support.metrics import metric
from tests.support.postgres import Server, fresh_database
from tests.support.proxy import Proxy
from tests.support.rows import add_users
from tests.support.service import Service, running_service

MANY = 10_000
FAILURES = 1_000
CLIENTS = 64


@pytest.fixture(scope="module")
def small_url(postgres: Server) -> Iterator[str]:
    with fresh_database(postgres) as url:
        fill_jobs(url, 200)
        add_users(url, {user: f"skill {user}, python" for user in range(CLIENTS)})
        yield url


@pytest.fixture(scope="module")
def loaded(
    small_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    log_file = tmp_path_factory.mktemp("loaded") / "log"
    with running_service(small_url, log_file) as service:
        wait_for_answer(service)
        yield service


def anonymous_mb(service: Service) -> float:
    return metric(service, "recommender_process_anonymous_bytes") / 2**20


def in_parallel(
    service: Service, count: int, ask: Callable[[httpx.Client, int], int]
) -> list[int]:
    """Call `ask` `count` times, 16 at a time. Returns the results in order."""
    with (
        httpx.Client(base_url=service.client.base_url, timeout=60) as client,
        ThreadPoolExecutor(16) as pool,
    ):
        return list(pool.map(lambda number: ask(client, number), range(count)))


def statuses_of_users(service: Service, count: int) -> set[int]:
    """Send requests from 16 connections, with a minimal client for speed."""

    def ask(share: range) -> set[int]:
        found = set()
        with closing(HTTPConnection("127.0.0.1", service.port, timeout=60)) as client:
            for number in share:
                client.request(
                    "POST",
                    "/api/recommend",
                    body=b'{"user_id": %d}' % (number % CLIENTS),
                    headers={"Content-Type": "application/json"},
                )
                response = client.getresponse()
                response.read()
                found.add(response.status)
        return found

    with ThreadPoolExecutor(16) as pool:
        return set().union(*pool.map(ask, [range(n, count, 16) for n in range(16)]))


def test_f49_memory_is_flat_over_10000_requests(loaded: Service) -> None:
    assert statuses_of_users(loaded, 1000) == {200}  # to warm up
    before = anonymous_mb(loaded)
    assert statuses_of_users(loaded, MANY) == {200}
    grown = anonymous_mb(loaded) - before
    print(f"{before:.1f} MB, {grown:+.1f} MB after {MANY} requests")
    assert grown < 2


def test_f51_descriptors_and_slots_are_flat_after_1000_failures(
    loaded: Service,
) -> None:
    def fail(client: httpx.Client, number: int) -> int:
        bodies = [b"{", b'{"user_id": -1}', b" " * 70_000, b'{"user_id": "x"}']
        return client.post(
            "/api/recommend",
            content=bodies[number % 4],
            headers={"Content-Type": "application/json"},
        ).status_code

    process = psutil.Process(loaded.process.pid)
    before = process.num_fds()
    assert set(in_parallel(loaded, FAILURES, fail)) == {404, 413, 422}
    assert process.num_fds() <= before + 20  # idle connections of the 16 clients
    assert metric(loaded, "recommender_pool_in_use") == 0


def test_f51_descriptors_and_slots_are_flat_after_1000_database_failures(
    healthy: Service, proxy: Proxy, expected: object
) -> None:
    process = psutil.Process(healthy.process.pid)
    before = process.num_fds(), process.num_threads()
    proxy.refuse()
    statuses = in_parallel(
        healthy,
        FAILURES,
        lambda client, _: client.post("/api/recommend", json=QUESTION).status_code,
    )
    assert set(statuses) == {503}
    proxy.restore()
    assert wait_for_answer(healthy).json() == expected
    assert metric(healthy, "recommender_pool_in_use") == 0
    after = process.num_fds(), process.num_threads()
    assert after[0] <= before[0] + 20  # as above
    assert after[1] <= before[1] + 1


@pytest.fixture
def narrow(proxy: Proxy, tmp_path: Path) -> Iterator[Service]:
    """A service with a queue of four."""
    with running_service(
        proxy.url(DATABASE), tmp_path / "log", MAX_QUEUE_SIZE="4", MAX_BATCH_SIZE="2"
    ) as service:
        wait_for_answer(service)
        yield service
    proxy.restore()


@pytest.mark.alone
def test_f50_beyond_the_queue_a_request_is_refused_at_once(
    narrow: Service, proxy: Proxy
) -> None:
    proxy.slow(0.003)
    refused: list[tuple[float, httpx.Response]] = []

    def ask(client: httpx.Client, _: int) -> int:
        start = time.monotonic()
        response = client.post("/api/recommend", json=QUESTION)
        if response.status_code != 200:
            refused.append((time.monotonic() - start, response))
        return response.status_code

    assert set(in_parallel(narrow, 16, ask)) == {200, 503}
    for seconds, response in refused:
        assert_unavailable(response)
        assert response.json()["detail"].startswith("The queue is full: 4 queries")
        assert seconds < 1.0  # a scan takes more


@pytest.mark.alone
def test_f52_healthz_answers_below_100_ms_under_full_load(loaded: Service) -> None:
    done = threading.Event()

    def load() -> None:
        while not done.is_set():
            loaded.recommend(user_id=1, top_n=100)

    threads = [threading.Thread(target=load) for _ in range(32)]
    for thread in threads:
        thread.start()
    took = median_ms_of_healthz(loaded)
    done.set()
    for thread in threads:
        thread.join()
    assert took < 100


def median_ms_of_healthz(service: Service) -> float:
    took = []
    with httpx.Client(base_url=service.client.base_url, timeout=60) as client:
        for _ in range(50):
            start = time.perf_counter()
            assert client.get("/healthz").status_code == 200
            took.append((time.perf_counter() - start) * 1000)
    print(f"median {statistics.median(took):.0f} ms, worst {max(took):.0f} ms")
    return statistics.median(took)


@pytest.mark.alone
def test_f52_healthz_answers_below_100_ms_while_the_database_is_a_black_hole(
    healthy: Service, proxy: Proxy
) -> None:
    proxy.cut()
    proxy.stall()
    with ThreadPoolExecutor(48) as pool:
        stuck = [pool.submit(healthy.recommend, **QUESTION) for _ in range(24)]
        stuck += [pool.submit(healthy.client.get, "/readyz") for _ in range(24)]
        assert median_ms_of_healthz(healthy) < 100
        for each in stuck:
            assert_unavailable(each.result())


def test_f53_64_requests_in_parallel_give_the_answers_of_64_in_a_row(
    small_url: str, tmp_path: Path
) -> None:
    # Without the cache each text is encoded again, in whatever batch it joins.
    with running_service(small_url, tmp_path / "log", QUERY_CACHE_SIZE="0") as service:

        def answer(user: int) -> tuple[int, str]:
            response = service.recommend(user_id=user, top_n=10 + user)
            return response.status_code, response.text

        in_a_row = [answer(user) for user in range(CLIENTS)]
        assert {status for status, _ in in_a_row} == {200}
        assert len(set(in_a_row)) == CLIENTS
        before = metric(service, "recommender_batch_size_count")
        with ThreadPoolExecutor(CLIENTS) as pool:
            together = list(pool.map(answer, range(CLIENTS)))
        assert together == in_a_row
        # They shared batches; otherwise the test would prove nothing.
        assert metric(service, "recommender_batch_size_count") - before < CLIENTS


def test_f54_first_requests_that_arrive_together_load_the_model_once(
    small_url: str, tmp_path: Path
) -> None:
    with running_service(
        small_url, tmp_path / "log", SCAN_WORKERS="4", MAX_BATCH_SIZE="4"
    ) as service:
        assert metric(service, "recommender_model_loaded") == 0
        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(lambda u: service.recommend(user_id=u), range(16)))
        assert {response.status_code for response in found} == {200}
        assert metric(service, "recommender_model_loaded") == 1
        # Each further copy of the tokenizer alone would be 9 MB.
        assert anonymous_mb(service) < 90
