"""One server, one proxy and one service for all faults of a module."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.bulk import fill_jobs
from tests.support.cluster import DATABASE, Cluster, running_cluster
from tests.support.proxy import Proxy, running_proxy
from tests.support.rows import add_user
from tests.support.service import Service, running_service
from tests.support.waiting import wait_until

JOBS = 4000  # 6 MB: a fault after two of them is in the middle of a scan
TIMEOUT_S = 2.0
RECOVERED_WITHIN_S = 15.0
QUESTION = {"skills": "python, sql", "top_n": 5}


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as cluster:
        fill_jobs(cluster.url, JOBS)
        add_user(cluster.url, 1, "python, sql")
        yield cluster


@pytest.fixture(scope="module")
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    with running_proxy(cluster.socket) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def shared_service(
    proxy: Proxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    log_file = tmp_path_factory.mktemp("service") / "log"
    with running_service(
        proxy.url(DATABASE), log_file, REQUEST_TIMEOUT_S=str(TIMEOUT_S)
    ) as service:
        yield service


@pytest.fixture
def healthy(shared_service: Service, proxy: Proxy) -> Iterator[Service]:
    """The healthy service; after the test every fault is repaired."""
    wait_for_answer(shared_service)
    yield shared_service
    proxy.restore()


@pytest.fixture(scope="module")
def expected(shared_service: Service) -> object:
    """The expected answer to QUESTION."""
    return wait_for_answer(shared_service).json()


def wait_for_answer(
    service: Service, *, within_s: float = RECOVERED_WITHIN_S
) -> httpx.Response:
    """The first 200; fails if there is none in time."""
    seen = [service.recommend(**QUESTION)]

    def has_answered() -> bool:
        if seen[-1].status_code == 200:
            return True
        assert seen[-1].status_code == 503, seen[-1].text
        seen.append(service.recommend(**QUESTION))
        return False

    wait_until(has_answered, within_s=within_s, failing=lambda: seen[-1].text)
    return seen[-1]


def assert_unavailable(response: httpx.Response) -> None:
    """Check a 503 of the service: JSON, Retry-After, one sentence."""
    assert response.status_code == 503, response.text
    assert int(response.headers["Retry-After"]) >= 1
    body = response.json()
    assert body["success"] is False
    assert body["detail"].endswith(".")
