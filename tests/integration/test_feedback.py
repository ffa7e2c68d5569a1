"""Feedback, from the request to the table, and its export and erasure."""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.commands import feedback as command
from app.commands.migrate import migrate
from app.deadline import Deadline
from app.errors import (
    AppError,
    InvalidInputError,
    JobNotFoundError,
    SchemaError,
    UserNotFoundError,
)
from app.query.feedback import EventName, FeedbackChange
from app.query.ids import Id
from app.storage import feedback as storage
from app.storage.connection.database import Database
from app.storage.feedback import FeedbackStore
from tests.integration.pgvector.searching import fill
from tests.support.postgres import Server, fresh_database, run
from tests.support.rows import add_job, add_user
from tests.support.service import Service, running_service

EVENTS = (
    "SELECT user_id, job_id, event::text FROM recommender.feedback ORDER BY 1, 2, 3"
)


@pytest.fixture
def url(database_url: str) -> str:
    """Two users and three jobs."""
    for number in (1, 2, 3):
        add_job(database_url, number, f"skill {number}")
    for number in (7, 8):
        add_user(database_url, number, "skill 1")
    return database_url


def change(
    user_id: Id, job_id: Id, event: EventName, *, undo: bool = False
) -> FeedbackChange:
    return FeedbackChange(user_id, job_id, event, undo=undo)


def record(database: Database, *changes: FeedbackChange) -> list[AppError | None]:
    return FeedbackStore(database).record(changes, Deadline.after(30))


def events_of(database: Database, user_id: Id) -> list[tuple[Id, str]]:
    found = FeedbackStore(database).of_user(user_id, Deadline.after(30))
    return [(event.job_id, event.event) for event in found]


def test_an_event_is_stored_once_and_undone_once(database: Database, url: str) -> None:
    saved, undone = change(7, 1, "saved"), change("7", "1", "saved", undo=True)
    for _ in range(2):
        assert record(database, saved) == [None]
        assert run(url, EVENTS) == [("7", "1", "saved")]
    for _ in range(2):
        assert record(database, undone) == [None]
        assert run(url, EVENTS) == []


def test_the_last_of_contradictory_changes_counts(database: Database, url: str) -> None:
    assert (
        record(
            database,
            change(7, 1, "saved"),
            change(7, 1, "saved", undo=True),
            change(7, 2, "saved", undo=True),
            change(7, "2", "saved"),
        )
        == [None] * 4
    )
    assert run(url, EVENTS) == [("7", "2", "saved")]


def test_of_a_batch_only_unknown_ids_are_refused(database: Database, url: str) -> None:
    outcomes = record(
        database,
        change(7, 1, "dismissed"),
        change(9, 1, "dismissed"),
        change(7, 4, "dismissed"),
        change("nobody", 1, "dismissed"),
        change(7, "nothing", "dismissed"),
        change(8, 1, "applied"),
    )
    assert [type(outcome) for outcome in outcomes] == [
        type(None), UserNotFoundError, JobNotFoundError, UserNotFoundError,
        JobNotFoundError, type(None),
    ]  # fmt: skip
    assert run(url, EVENTS) == [("7", "1", "dismissed"), ("8", "1", "applied")]


def test_an_event_can_be_undone_after_its_user_and_its_job_were_deleted(
    database: Database, url: str
) -> None:
    record(database, change(7, 1, "saved"))
    run(url, "DELETE FROM skill_job1; DELETE FROM users")
    assert events_of(database, 7) == [(1, "saved")]
    assert record(database, change(7, 1, "saved", undo=True)) == [None]
    assert run(url, EVENTS) == []


def test_a_user_sees_the_own_events_newest_first(database: Database, url: str) -> None:
    for event in (change(7, 3, "saved"), change(7, 1, "opened"), change(8, 2, "saved")):
        record(database, event)
    assert events_of(database, "7") == [(1, "opened"), (3, "saved")]
    assert events_of(database, 8) == [(2, "saved")]
    with pytest.raises(UserNotFoundError):
        events_of(database, 9)
    with pytest.raises(UserNotFoundError):
        events_of(database, "nobody")


def test_a_user_may_have_so_many_events_and_then_only_undo(
    database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "MAX_EVENTS", 2)
    assert record(database, change(7, 1, "saved")) == [None]
    assert record(database, change(7, 2, "saved")) == [None]
    (refused,) = record(database, change(7, 3, "saved"))
    assert isinstance(refused, InvalidInputError)
    assert record(database, change(7, 1, "saved", undo=True)) == [None]
    assert record(database, change(7, 3, "saved")) == [None]
    assert run(url, EVENTS) == [("7", "2", "saved"), ("7", "3", "saved")]


A_UUID, OTHER_UUID = (str(uuid.UUID(int=number << 96)) for number in (1, 2))
KINDS: Mapping[str, tuple[Id, Id]] = {
    "smallint": (1, -2),
    "bigint": (2**62, -(2**63)),
    "uuid": (A_UUID, OTHER_UUID),
    "text": ("a/b", "0'7 %s {}"),
    "varchar": ("é", "Ä"),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_ids_of_every_kind_come_back_as_they_are(postgres: Server, kind: str) -> None:
    job, user = KINDS[kind]
    with fresh_database(postgres, template="template0") as url:
        run(url, f"CREATE TABLE skill_job1 (job_id {kind} PRIMARY KEY, skills text)")
        run(url, f"CREATE TABLE users (user_id {kind} PRIMARY KEY, skills text)")
        list(migrate(url))
        add_job(url, job, "cooking")
        add_user(url, user, "cooking")
        database = Database(url, pool_size=1)
        given = str(job).upper() if kind == "uuid" else job
        assert record(database, change(user, given, "saved")) == [None]
        assert events_of(database, user) == [(job, "saved")]
        assert record(database, change(user, given, "saved", undo=True)) == [None]
        assert events_of(database, user) == []
        database.close()


def test_events_outlive_another_type_of_ids(database: Database, url: str) -> None:
    record(database, change(7, 1, "saved"))
    run(url, "ALTER TABLE skill_job1 ALTER job_id DROP IDENTITY IF EXISTS")
    run(url, "ALTER TABLE skill_job1 ALTER job_id TYPE text")
    list(migrate(url))
    assert events_of(database, 7) == [("1", "saved")]


def test_without_the_table_the_command_that_adds_it_is_named(
    database: Database, url: str
) -> None:
    run(url, "DROP TABLE recommender.feedback")
    with pytest.raises(SchemaError, match=r"migrate\.py"):
        record(database, change(7, 1, "saved"))
    list(migrate(url))
    assert record(database, change(7, 1, "saved")) == [None]


# --- the command -----------------------------------------------------------------


@pytest.fixture
def person(
    database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """The command, over a user with two events and another with one."""
    monkeypatch.setenv("DATABASE_URL", url)
    record(database, change(7, 1, "saved"), change(8, 1, "saved"))
    record(database, change(7, 2, "dismissed"))
    return lambda *arguments: command.main(["7", *arguments])


def test_a_persons_events_are_exported_and_erased(
    person: Callable[..., int], url: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.json"
    assert person("--export", str(file)) == 0
    exported = json.loads(file.read_text())
    assert [(row["job_id"], row["event"]) for row in exported["feedback"]] == [
        (2, "dismissed"), (1, "saved"),
    ]  # fmt: skip
    assert exported["exposures"] == exported["recommendations"] == []
    assert len(run(url, EVENTS)) == 3
    run(url, "DELETE FROM users WHERE user_id = 7")
    assert person("--erase", "--export", str(file)) == 0
    assert json.loads(file.read_text()) == exported
    assert run(url, EVENTS) == [("8", "1", "saved")]


def test_nothing_is_erased_that_cannot_be_exported(
    person: Callable[..., int], url: str, tmp_path: Path
) -> None:
    assert person("--erase", "--export", str(tmp_path / "no" / "folder")) == 1
    assert len(run(url, EVENTS)) == 3


def test_the_command_says_what_it_did(
    person: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert person("--export", "-", "--erase") == 0
    said = capsys.readouterr()
    assert len(json.loads(said.out)["feedback"]) == 2
    assert said.err == (
        "2 events, 0 answers and 0 stored recommendations exported and erased.\n"
    )
    with pytest.raises(SystemExit):
        person()
    assert command.main(["9", "--export", "-"]) == 1
    assert "No user has this user_id." in capsys.readouterr().err


# --- HTTP ------------------------------------------------------------------------


def feedback(service: Service, **body: object) -> httpx.Response:
    return service.client.post("/api/feedback", json=body)


def test_feedback_over_http(url: str, service: Service) -> None:
    given = {"user_id": 7, "job_id": 1, "event": "dismissed"}
    for _ in range(2):
        answer = feedback(service, **given)
        assert (answer.status_code, answer.json()) == (200, {"success": True})
    (stored,) = service.client.get("/api/users/7/feedback").json()["feedback"]
    assert (stored["job_id"], stored["event"]) == (1, "dismissed")
    assert feedback(service, **given, undo=True).json() == {"success": True}
    mine = service.client.get("/api/users/7/feedback").json()
    assert mine == {"success": True, "feedback": []}


def test_a_batch_over_http_answers_each_event(url: str, service: Service) -> None:
    events = [
        {"user_id": 7, "job_id": 1, "event": "saved"},
        {"user_id": 9, "job_id": 1, "event": "saved"},
        {"user_id": "7", "job_id": 2.0, "event": "opened"},
    ]
    answer = service.client.post("/api/feedback/batch", json={"events": events})
    assert answer.json()["success"] is True
    results = answer.json()["results"]
    assert [each["success"] for each in results] == [True, False, True]
    assert (results[1]["status"], results[1]["detail"]) == (
        404, "No user has this user_id.",
    )  # fmt: skip
    assert run(url, EVENTS) == [("7", "1", "saved"), ("7", "2", "opened")]


@pytest.fixture
def crowd(postgres: Server, backend: str, tmp_path: Path) -> Iterator[Service]:
    """A service with this backend, over 103 jobs and 64 users."""
    with fresh_database(postgres, template="template0") as url:
        run(url, "CREATE TABLE skill_job1 (job_id bigint PRIMARY KEY, skills text)")
        run(url, "CREATE TABLE users (user_id bigint PRIMARY KEY, skills text)")
        is_indexed = backend == "pgvector"
        list(migrate(url, extras=("pgvector",) if is_indexed else ()))
        add_job(url, 1, "skill 1")
        run(
            url,
            "INSERT INTO users SELECT n, 'skill 1' FROM generate_series(100, 163) AS n;"
            " INSERT INTO skill_job1 (job_id, skills, embedding, embedding_version)"
            " SELECT n, 'skill', embedding, embedding_version"
            " FROM skill_job1, generate_series(98, 199) AS n WHERE job_id = 1",
        )
        if is_indexed:
            with closing(Database(url, pool_size=1)) as database:
                fill(database)
        cache = str(tmp_path / "cache")
        settings = {"SEARCH_BACKEND": backend, "CACHE_DIR": cache}
        with running_service(url, tmp_path / "log", **settings) as service:
            yield service


@pytest.mark.parametrize("backend", ["stream", "replica", "pgvector"])
def test_64_clients_never_get_what_they_dismissed(crowd: Service, backend: str) -> None:
    def dismisses(user: int) -> None:
        gone: set[int] = set()
        page: dict[str, Any] = {}
        for _ in range(5):
            # A first page and the next one in turns.
            cursor = page.get("next_cursor")
            options = {} if cursor is None else {"cursor": cursor}
            answer = crowd.recommend(user_id=user, top_n=5, **options)
            assert answer.status_code == 200, answer.text
            page = {} if cursor else answer.json()
            shown = {job["job_id"] for job in answer.json()["recommendations"]}
            assert len(shown) == 5
            assert not shown & gone
            job = min(shown)
            event = {"user_id": user, "job_id": job, "event": "dismissed"}
            assert feedback(crowd, **event).status_code == 200
            gone.add(job)

    with ThreadPoolExecutor(64) as clients:
        list(clients.map(dismisses, range(100, 164)))
    users = {"user_ids": list(range(100, 164)), "top_n": 100}
    answer = crowd.client.post("/api/recommend/batch", json=users)
    for each in answer.json()["results"]:
        shown = {job["job_id"] for job in each["recommendations"]}
        stored = crowd.client.get(f"/api/users/{each['user_id']}/feedback").json()
        assert len(stored["feedback"]) == 5
        assert not shown & {event["job_id"] for event in stored["feedback"]}
        if backend != "pgvector":  # an index may miss some
            assert len(shown) == 103 - 5


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"user_id": 7, "job_id": 1}, 422),
        ({"user_id": 7, "job_id": 1, "event": "liked"}, 422),
        ({"user_id": True, "job_id": 1, "event": "saved"}, 422),
        ({"user_id": 7, "job_id": 1.5, "event": "saved"}, 422),
        ({"user_id": 7, "job_id": 1, "event": "saved", "undo": "yes"}, 422),
        ({"user_id": 7, "job_id": 1, "event": "saved", "note": ""}, 422),
        ({"user_id": 9, "job_id": 1, "event": "saved"}, 404),
        ({"user_id": 7, "job_id": 4, "event": "saved"}, 404),
    ],
)
def test_invalid_feedback_is_refused(
    url: str, service: Service, body: Mapping[str, object], status: int
) -> None:
    answer = feedback(service, **body)
    assert answer.status_code == status
    assert answer.json()["success"] is False
    assert run(url, EVENTS) == []


def test_feedback_needs_a_key_and_pays_for_its_events(url: str, tmp_path: Path) -> None:
    key = {"X-API-Key": "the-key-of-this-test"}
    settings = {"API_KEYS": key["X-API-Key"], "RATE_LIMIT_PER_MINUTE": "4"}
    with running_service(url, tmp_path / "log", **settings) as service:
        one = {"user_id": 7, "job_id": 1, "event": "saved"}
        for path in ("/api/feedback", "/api/feedback/batch"):
            assert service.client.post(path, json=one).status_code == 401
        assert service.client.get("/api/users/7/feedback").status_code == 401
        much = {"events": [one] * 100}  # seven units, of a bucket that was full
        answer = service.client.post("/api/feedback/batch", json=much, headers=key)
        assert answer.status_code == 200
        assert run(url, EVENTS) == [("7", "1", "saved")]
        answer = service.client.post("/api/feedback", json=one, headers=key)
        assert answer.status_code == 429
