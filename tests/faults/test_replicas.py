"""Reads from a replica by libpq's own connection strings, with real servers."""

from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from app.commands.doctor import main as doctor
from app.commands.embed import main as generate_embeddings
from app.commands.migrate import main as migrate
from app.storage.connection.dsn import primary
from benchmarks.load import closed_loop
from tests.support.postgres import run
from tests.support.replicas import Programs, Replicated, running_replicas
from tests.support.rows import add_pending_jobs, add_user
from tests.support.service import Service, running_service
from tests.support.waiting import wait_until

CLIENTS = 8
LOST_AFTER_S = 2.0

WHERE = "SELECT client_port FROM pg_stat_activity WHERE application_name = %s"


@pytest.fixture
def replicated(
    debian_postgres: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Replicated]:
    """Three embedded jobs and user 1, inserted through the string with both hosts."""
    with running_replicas(Programs.of_debian(debian_postgres)) as both:
        monkeypatch.setenv("DATABASE_URL", both.url)
        assert migrate([]) == 0
        add_pending_jobs(both.primary.url, ["welding", "nursing", "baking bread"])
        add_user(both.primary.url, 1, "a baker")
        assert generate_embeddings([]) == 0
        both.arrive()
        yield both


@pytest.fixture
def service(replicated: Replicated, tmp_path: Path) -> Iterator[Service]:
    with running_service(replicated.url, tmp_path / "service.log") as running:
        yield running


def best(service: Service, user_id: int = 1) -> tuple[int, list[int]]:
    response = service.recommend(user_id=user_id)
    jobs = response.json().get("recommendations", [])
    return response.status_code, [job["job_id"] for job in jobs]


def test_reads_go_to_the_replica_and_embeddings_to_the_primary(
    replicated: Replicated, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    assert best(service)[1][0] == 3
    name = ("job-recommender",)
    assert run(replicated.replica.url, WHERE, name)
    assert not run(replicated.primary.url, WHERE, name)
    add_pending_jobs_after(replicated, 4, "pastry")
    assert generate_embeddings(["--what=jobs"]) == 0
    assert doctor([]) in (0, 1)
    assert "jobs: 4 embedded" in capsys.readouterr().out
    replicated.arrive()
    assert 4 in best(service)[1]


def add_pending_jobs_after(both: Replicated, job_id: int, text: str) -> None:
    run(
        both.primary.url,
        "INSERT INTO skill_job1 (job_id, skills) VALUES (%s, %s)",
        (job_id, text),
    )


def test_the_service_embeds_through_the_primary(
    replicated: Replicated, tmp_path: Path
) -> None:
    add_pending_jobs_after(replicated, 4, "pastry")
    settings = {"EMBED_IN_SERVICE": "true"}
    with running_service(replicated.url, tmp_path / "log", **settings) as service:
        wait_until(
            lambda: 4 in best(service)[1], within_s=60, failing=lambda: service.log
        )


def test_feedback_to_a_standby_alone_says_what_to_name(
    replicated: Replicated, tmp_path: Path
) -> None:
    event = {"user_id": 1, "job_id": 3, "event": "dismissed"}
    with running_service(replicated.replica.url, tmp_path / "log") as service:
        assert best(service)[1][0] == 3
        answer = service.client.post("/api/feedback", json=event)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "30"
        assert answer.json()["detail"] == (
            "The database is a standby, which takes no changes; name its primary in"
            " DATABASE_URL, too."
        )
        # As soon as it is promoted it takes them.
        run(replicated.replica.url, "SELECT pg_promote()")
        assert service.client.post("/api/feedback", json=event).status_code == 200
        assert best(service)[1][0] != 3


def test_a_stale_replica_answers_from_what_it_has(
    replicated: Replicated, service: Service
) -> None:
    replicated.pause()
    run(replicated.primary.url, "DELETE FROM skill_job1 WHERE job_id = 3")
    run(replicated.primary.url, "DELETE FROM users WHERE user_id = 1")
    add_user(replicated.primary.url, 2, "a nurse")
    # One snapshot, hence whole: the texts of deleted jobs among it.
    status, jobs = best(service)
    assert (status, jobs[0], len(jobs)) == (200, 3, 3)
    assert best(service, 2)[0] == 404
    replicated.resume()
    replicated.arrive()
    assert best(service)[0] == 404
    assert best(service, 2)[1][0] == 2


def test_a_replica_lost_under_load_costs_no_500(
    replicated: Replicated, service: Service
) -> None:
    wrong: list[dict[str, Any]] = []
    expected = service.recommend(user_id=1).json()

    def compare(_: dict[str, Any], answer: dict[str, Any]) -> None:
        if answer != expected:
            wrong.append(answer)

    Timer(LOST_AFTER_S, replicated.replica.kill).start()
    load = closed_loop(
        service.port,
        lambda _: {"user_id": 1},
        clients=CLIENTS,
        seconds=3 * LOST_AFTER_S,
        check=compare,
    )
    assert set(load.statuses) <= {200, 503}, load.statuses
    assert load.statuses[200] > CLIENTS
    assert not wrong
    assert service.recommend(user_id=1).json() == expected
    assert run(replicated.primary.url, WHERE, ("job-recommender",))
    print(f"\nreplica lost under load: {load.statuses}")


def test_the_primary_is_found_in_any_order_of_hosts(replicated: Replicated) -> None:
    assert run(primary(replicated.url), "SELECT pg_is_in_recovery()") == [(False,)]
