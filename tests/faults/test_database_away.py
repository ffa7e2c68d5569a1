"""An unavailable database: refused, silent, stopped, killed, restarted."""

import threading
import time
from pathlib import Path

import pytest

from tests.faults.conftest import (
    QUESTION,
    TIMEOUT_S,
    assert_unavailable,
    wait_for_answer,
)
from tests.support.clients import asking
from tests.support.cluster import DATABASE, Cluster
from tests.support.proxy import Proxy
from tests.support.service import Service, running_service

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


def _restart_under_load(
    service: Service, cluster: Cluster, expected: object, *, kill: bool
) -> float:
    """Seconds from the database's return to the first answer; checks all answers."""
    with asking(service, QUESTION) as replies:
        replies.wait_for(200)
        if kill:
            cluster.kill()
        else:
            cluster.stop()
        replies.wait_for(503)
        answered_s = replies.wait_for(200, since=cluster.start())
    assert replies.statuses() == {200, 503}
    assert replies.bodies(200) == {service.recommend(**QUESTION).text}
    assert service.recommend(**QUESTION).json() == expected
    return answered_s


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
