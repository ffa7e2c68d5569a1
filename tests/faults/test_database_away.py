"""An unavailable database: refused, silent, stopped, killed, restarted."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.faults.conftest import (
    QUESTION,
    TIMEOUT_S,
    assert_unavailable,
    wait_for_answer,
)
from tests.support.cluster import DATABASE, Cluster
from tests.support.proxy import Proxy
from tests.support.service import Service, running_service
from tests.support.waiting import be_slow, wait_until

pytestmark = pytest.mark.alone

# Added to the deadline: noise of a busy machine.
SLACK_S = 1.5


def test_f33_a_service_that_starts_without_its_database_recovers_by_itself(
    cluster: Cluster, proxy: Proxy, tmp_path: Path
) -> None:
    proxy.refuse()
    with running_service(proxy.url(DATABASE), tmp_path / "log") as service:
        assert service.client.get("/healthz").status_code == 200
        assert_unavailable(service.client.get("/readyz"))
        assert_unavailable(service.recommend(**QUESTION))
        proxy.restore()
        assert wait_for_answer(service).json()["total_jobs_analyzed"] > 0
        assert service.client.get("/readyz").status_code == 200


def test_f34_a_refused_connection_is_503_with_retry_after(
    healthy: Service, proxy: Proxy
) -> None:
    proxy.refuse()
    start = time.monotonic()
    assert_unavailable(healthy.recommend(**QUESTION))
    assert time.monotonic() - start < TIMEOUT_S


def test_f35_a_black_hole_costs_each_caller_its_deadline_and_no_more(
    healthy: Service, proxy: Proxy
) -> None:
    proxy.cut()
    proxy.stall()
    took: list[float] = []
    callers = [
        threading.Thread(target=lambda: took.append(_time_to_503(healthy)))
        for _ in range(12)
    ]
    start = time.monotonic()
    for caller in callers:
        caller.start()
    assert_unavailable(healthy.client.get("/readyz"))
    for caller in callers:
        caller.join()
    # In sequence they would take 12 times the deadline.
    assert len(took) == 12
    assert max(took) < TIMEOUT_S + SLACK_S
    assert time.monotonic() - start < TIMEOUT_S + 2 * SLACK_S


def _time_to_503(service: Service) -> float:
    start = time.monotonic()
    assert_unavailable(service.recommend(**QUESTION))
    return time.monotonic() - start


def test_f36_after_a_restart_while_idle_the_very_next_request_succeeds(
    healthy: Service, cluster: Cluster, expected: object
) -> None:
    cluster.stop()
    cluster.start()
    response = healthy.recommend(**QUESTION)
    assert (response.status_code, response.json()) == (200, expected)


@contextmanager
def load(service: Service, clients: int = 8) -> Iterator[list[tuple[float, int, str]]]:
    """Clients that send requests without pause. Yields (time, status, body) of each."""
    seen: list[tuple[float, int, str]] = []
    done = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=service.client.base_url, timeout=60) as client:
            while not done.is_set():
                response = client.post("/api/recommend", json=QUESTION)
                seen.append((time.monotonic(), response.status_code, response.text))
                if response.status_code == 503:
                    # A client that respects Retry-After would wait longer.
                    be_slow(0.02)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        done.set()
        for thread in threads:
            thread.join()


def _wait_for(
    seen: list[tuple[float, int, str]], status: int, *, since: float
) -> float:
    def when() -> list[float]:
        return [at for at, found, _ in list(seen) if at >= since and found == status]

    wait_until(
        lambda: bool(when()), within_s=15, failing=lambda: f"no answer {status} came"
    )
    return when()[0]


def _restart_under_load(
    service: Service, cluster: Cluster, expected: object, *, kill: bool
) -> float:
    """Seconds from the database's return to the first answer; checks all answers."""
    with load(service) as seen:
        _wait_for(seen, 200, since=0)
        if kill:
            cluster.kill()
        else:
            cluster.stop()
        _wait_for(seen, 503, since=time.monotonic())
        returned = cluster.start()
        answered = _wait_for(seen, 200, since=returned)
    assert {status for _, status, _ in seen} == {200, 503}
    answers = {body for _, status, body in seen if status == 200}
    assert answers == {service.recommend(**QUESTION).text}
    assert service.recommend(**QUESTION).json() == expected
    return answered - returned


def test_f36_a_restart_under_load_gives_no_wrong_answer_and_recovers_in_two_seconds(
    healthy: Service, cluster: Cluster, expected: object
) -> None:
    seconds = _restart_under_load(healthy, cluster, expected, kill=False)
    print(f"answered {seconds:.2f} s after the database's return")
    assert seconds < 2.0


def test_f38_a_server_killed_under_load_gives_no_wrong_answer(
    healthy: Service, cluster: Cluster, expected: object
) -> None:
    seconds = _restart_under_load(healthy, cluster, expected, kill=True)
    print(f"answered {seconds:.2f} s after the database's return")
    assert seconds < 2.0
