"""The service with SEARCH_BACKEND=replica beside one with the stream, over HTTP."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.bulk import fill_jobs
from tests.support.metrics import metric
from tests.support.postgres import run
from tests.support.service import Service, running_service
from tests.support.waiting import wait_until

JOBS = 300


@pytest.fixture
def url(database_url: str) -> str:
    fill_jobs(database_url, JOBS)
    return database_url


@pytest.fixture
def stream(url: str, tmp_path: Path) -> Iterator[Service]:
    with running_service(url, tmp_path / "stream") as service:
        yield service


def start(stack: ExitStack, url: str, log: Path) -> Service:
    """A service whose files lie beside its log."""
    service = running_service(
        url, log, SEARCH_BACKEND="replica", CACHE_DIR=str(log.parent / "cache")
    )
    return stack.enter_context(service)


def answer(service: Service, **body: object) -> dict[str, Any]:
    response = service.recommend(**body)
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    # Each process counts them for itself, every few seconds.
    del found["total_jobs_pending"]
    return found


def bytes_read(service: Service) -> float:
    """By one request of each ranking."""
    before = metric(service, "recommender_bytes_scanned_total")
    for rank_by in ("similarity", "skills", "hybrid"):
        answer(service, skills="python", rank_by=rank_by)
    return metric(service, "recommender_bytes_scanned_total") - before


def compare(replica: Service, stream: Service) -> None:
    """Pages, constraints and the other rankings, to the last digit."""
    first = answer(stream, skills="python, sql", top_n=7)
    bodies: list[dict[str, object]] = [
        {"skills": "python, sql", "top_n": 7},
        {"skills": "python, sql", "top_n": 7, "cursor": first["next_cursor"]},
        {
            "skills": "python",
            "top_n": 100,
            "min_score": 0.1,
            "exclude_job_ids": [1, 2, 3],
        },
        {"skills": "skill 7, skill 12, python", "rank_by": "skills"},
        {"skills": "skill 7, skill 12, python", "rank_by": "hybrid"},
        {"skills": "skill 7", "rank_by": "hybrid", "distinct": False, "top_n": 50},
    ]
    for body in bodies:
        assert answer(replica, **body) == answer(stream, **body)


def test_answers_are_those_of_the_stream_from_the_first_request_on(
    url: str, stream: Service, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        replica = start(stack, url, tmp_path / "log")
        compare(replica, stream)
        wait_until(lambda: bytes_read(replica) == 0)
        compare(replica, stream)
        run(url, "DELETE FROM skill_job1 WHERE job_id % 3 = 0")
        run(url, "UPDATE skill_job1 SET embedding = NULL WHERE job_id % 7 = 0")
        compare(replica, stream)
        # Another process of the host, and this one killed.
        other = start(stack, url, tmp_path / "other log")
        wait_until(lambda: bytes_read(other) == 0)
        compare(other, stream)
        replica.process.kill()
        run(url, "UPDATE skill_job1 SET skills = 'edited' WHERE job_id % 5 = 0")
        compare(other, stream)
    assert f"The replica is ready: {JOBS} jobs." in replica.log
    assert "Traceback" not in replica.log + other.log


def test_a_folder_that_cannot_be_written_is_no_outage(
    url: str, stream: Service, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file")
    with ExitStack() as stack:
        replica = start(stack, url, tmp_path / "log")
        compare(replica, stream)
        wait_until(lambda: "the folder of CACHE_DIR cannot be used" in replica.log)
        assert replica.client.get("/readyz").status_code == 200
        compare(replica, stream)
