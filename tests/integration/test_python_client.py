"""The Python client with the real service: results, errors, busy times."""

import ast
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import job_recommendations
import pytest
from job_recommendations import (
    ApiError,
    Client,
    Column,
    Job,
    ServiceUnreachableError,
)

from tests.support.bulk import fill_jobs
from tests.support.cluster import socket_of
from tests.support.columns import NAMES, add_columns, made_rows
from tests.support.postgres import Server, fresh_database
from tests.support.proxy import Proxy, running_proxy
from tests.support.rows import add_user
from tests.support.service import Service, free_port, running_service

JOBS = 60
KEY = "a-key-for-this-test-only"


@pytest.fixture(scope="module")
def proxied(postgres: Server) -> Iterator[tuple[Proxy, str]]:
    """A proxy before the database, and the address through it."""
    with fresh_database(postgres) as url:
        fill_jobs(url, JOBS)
        add_columns(url, dict(enumerate(made_rows(JOBS, seed=3), start=1)))
        for user in (1, 2):
            add_user(url, user, f"skill {user}, python")
        name = url.split("?", maxsplit=1)[0].rsplit("/", maxsplit=1)[-1]
        with running_proxy(socket_of(url)) as proxy:
            yield proxy, proxy.url(name)


@pytest.fixture(scope="module")
def service(
    proxied: tuple[Proxy, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    with running_service(
        proxied[1],
        tmp_path_factory.mktemp("client") / "log",
        JOB_COLUMNS=NAMES,
        API_KEYS=KEY,
        RATE_LIMIT_PER_MINUTE="60000",
    ) as running:
        yield running


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(f"http://127.0.0.1:{service.port}", api_key=KEY) as client:
        yield client


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The recorded waits, in seconds."""
    waited: list[float] = []
    sleep = time.sleep

    def noted(seconds: float) -> None:
        waited.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", noted)
    return waited


def test_it_needs_the_standard_library_alone() -> None:
    tree = ast.parse(Path(job_recommendations.__file__).read_text())
    for node in ast.walk(tree):
        names = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


def test_jobs_of_a_user_with_their_columns(client: Client, service: Service) -> None:
    found = client.recommend(user_id=1, top_n=3, explain=True)
    raw = service.client.post(
        "/api/recommend",
        json={"user_id": 1, "top_n": 3, "explain": True},
        headers={"X-API-Key": KEY},
    ).json()
    assert [job.job_id for job in found.jobs] == [
        job["job_id"] for job in raw["recommendations"]
    ]
    assert found.jobs[0].columns == raw["recommendations"][0]["columns"]
    assert (found.total_jobs_analyzed, found.total_jobs_pending) == (JOBS, 0)
    assert found.next_cursor == raw["next_cursor"]


def test_filters_exclusions_and_pages(client: Client) -> None:
    whole = list(client.every_job(skills="python", top_n=7))
    assert len({job.job_id for job in whole}) == JOBS
    assert whole == client.recommend(skills="python", top_n=100).jobs
    filters = {"remote": [True, None]}
    some = client.recommend(
        skills="python",
        top_n=100,
        filters=filters,
        exclude_job_ids=[whole[0].job_id],
        min_score=0.0,
    ).jobs
    assert some == [
        job
        for job in whole[1:]
        if job.columns["remote"] is not False and (job.similarity_score or 0) >= 0
    ]


def test_a_batch_similar_jobs_candidates_and_columns(client: Client) -> None:
    known, unknown = client.recommend_batch([1, 77], top_n=2)
    assert known.recommendations == client.recommend(user_id=1, top_n=2)
    assert (unknown.user_id, unknown.recommendations) == (77, None)
    assert unknown.error == "No user has this user_id."
    similar = client.similar_jobs(3, top_n=2)
    assert isinstance(similar[0], Job)
    assert similar[0].job_id != 3
    assert client.candidates(3, rank_by="similarity") == []  # users without embeddings
    assert client.columns()[0] == Column("location", "text")


def test_feedback_is_stored_read_and_taken_back(client: Client) -> None:
    first, second, third = client.recommend(user_id=2, top_n=3).jobs
    client.give_feedback(user_id=2, job_id=first.job_id, event="dismissed")
    client.give_feedback(user_id=2, job_id=first.job_id, event="dismissed")
    left = client.recommend(user_id=2, top_n=2).jobs
    assert first.job_id not in [job.job_id for job in left]
    errors = client.give_feedback_batch(
        [
            {"user_id": 2, "job_id": third.job_id, "event": "saved"},
            {"user_id": 2, "job_id": 0, "event": "saved"},
        ]
    )
    assert errors == [None, "No job has this job_id."]
    found = client.list_feedback(2)
    assert [(event.job_id, event.event) for event in found] == [
        (third.job_id, "saved"),
        (first.job_id, "dismissed"),
    ]
    assert datetime.fromisoformat(found[0].at) >= datetime.fromisoformat(found[1].at)
    client.give_feedback(user_id=2, job_id=first.job_id, event="dismissed", undo=True)
    client.give_feedback(user_id=2, job_id=third.job_id, event="saved", undo=True)
    assert client.recommend(user_id=2, top_n=3).jobs == [first, second, third]
    assert client.list_feedback(2) == []
    with pytest.raises(ApiError, match=r"^404: No user has this user_id\.$"):
        client.give_feedback(user_id=77, job_id=1, event="saved")


@pytest.mark.parametrize(
    ("ask", "status", "detail"),
    [
        (lambda c: c.recommend(user_id=999), 404, "No user has this user_id."),
        (lambda c: c.recommend(), 422, "exactly one of user_id and skills"),
        (lambda c: c.recommend(user_id=1, filters={"x": 1}), 422, "unknown column"),
        (lambda c: c.similar_jobs("b?c#d"), 404, "No job has this job_id."),
        (lambda c: c.recommend(skills="x" * 90_000), 413, "larger than 65536 bytes"),
    ],
)
def test_other_refusals_are_raised_at_once(
    client: Client,
    waits: list[float],
    ask: Callable[[Client], object],
    status: int,
    detail: str,
) -> None:
    with pytest.raises(ApiError) as raised:
        ask(client)
    assert raised.value.status == status
    assert detail in raised.value.detail
    assert waits == []


def test_a_wrong_key_is_not_tried_again(service: Service, waits: list[float]) -> None:
    with (
        Client(f"http://127.0.0.1:{service.port}", api_key="wrong") as client,
        pytest.raises(ApiError, match=r"^401: A valid API key is needed"),
    ):
        client.columns()
    assert waits == []


def test_503_is_waited_out_as_long_as_the_service_says(
    client: Client, proxied: tuple[Proxy, str], waits: list[float]
) -> None:
    proxy, _ = proxied
    expected = client.recommend(user_id=1)
    proxy.refuse()
    back = threading.Timer(1.5, proxy.restore)
    back.start()
    assert client.recommend(user_id=1) == expected
    back.join()
    assert len(waits) >= 2
    assert all(wait >= 1 for wait in waits)  # Retry-After: 1


def test_503_that_lasts_is_raised_in_the_end(
    service: Service, proxied: tuple[Proxy, str]
) -> None:
    proxy, _ = proxied
    address = f"http://127.0.0.1:{service.port}"
    proxy.refuse()
    try:
        with (
            Client(address, api_key=KEY, give_up_after_s=0.5) as client,
            pytest.raises(ApiError, match=r"^503: ") as raised,
        ):
            client.recommend(user_id=1)
        assert raised.value.status == 503
    finally:
        proxy.restore()


def test_429_is_waited_out(
    proxied: tuple[Proxy, str], tmp_path: Path, waits: list[float]
) -> None:
    with running_service(
        proxied[1], tmp_path / "log", API_KEYS=KEY, RATE_LIMIT_PER_MINUTE="60"
    ) as slow:
        waits.clear()  # those of the start
        client = Client(f"http://127.0.0.1:{slow.port}", api_key=KEY)
        for _ in range(62):
            client.columns()
        client.close()
        assert waits
        assert all(wait >= 1 for wait in waits)


def test_one_connection_serves_one_request_after_the_other(client: Client) -> None:
    client.columns()
    (before,) = client._idle
    client.recommend(user_id=1)
    (after,) = client._idle
    assert after is before


def test_a_connection_that_was_closed_while_it_idled_is_replaced(
    client: Client, waits: list[float]
) -> None:
    client.columns()
    client._idle[0].shutdown(2)
    assert client.columns()
    assert waits == []


def test_threads_share_a_client(client: Client) -> None:
    expected = {user: client.recommend(user_id=user) for user in (1, 2)}
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: client.recommend(user_id=1 + n % 2), range(40)))
    assert found == [expected[1 + n % 2] for n in range(40)]
    assert len(client._idle) <= 8


def test_a_service_that_is_away_is_an_error_of_its_own(waits: list[float]) -> None:
    client = Client(
        f"http://127.0.0.1:{free_port()}", give_up_after_s=0.2, backoff_s=0.01
    )
    with pytest.raises(ServiceUnreachableError, match="ConnectionRefusedError"):
        client.columns()
    assert len(waits) > 1


@pytest.mark.parametrize(
    "address",
    [
        "",
        "jobs.example.org",
        "ftp://jobs.example.org",
        "https://",
        "https://me:secret@jobs.example.org",
        "https://jobs.example.org/?key=1",
        "https://jobs.example.org/#top",
    ],
)
def test_an_address_that_no_request_can_have_is_refused_at_once(address: str) -> None:
    with pytest.raises(ValueError, match="base_url must be a URL"):
        Client(address)
