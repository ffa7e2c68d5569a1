"""Feedback, from the request to the table, and its export and erasure."""

import json
import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

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
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.feedback import FeedbackStore
from app.storage.users import users_by_id
from tests.integration.pgvector.searching import fill
from tests.support.postgres import Server, fresh_database, run
from tests.support.rows import add_job, add_user
from tests.support.service import Service, running_service

EVENTS = (
    "SELECT user_id, job_id, event::text FROM recommender.feedback ORDER BY 1, 2, 3"
)


def add_rows(url: str) -> None:
    """Two users and three jobs."""
    for number in (1, 2, 3):
        add_job(url, number, f"skill {number}")
    for number in (7, 8):
        add_user(url, number, "skill 1")


@pytest.fixture
def url(database_url: str) -> str:
    """The database of one test."""
    add_rows(database_url)
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


@pytest.mark.parametrize("seed", range(12))
def test_a_repeat_is_never_refused_and_no_batch_passes_the_limit(
    database: Database, url: str, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(storage, "MAX_EVENTS", 3)
    rng = random.Random(seed)
    stored: dict[Id, set[tuple[Id, str]]] = {7: set(), 8: set()}
    names: Sequence[EventName] = get_args(EventName)
    for _ in range(6):
        batch = [
            change(
                rng.choice([7, 8]),
                rng.choice([1, 2, 3]),
                rng.choice(names),
                undo=rng.random() < 0.4,
            )
            for _ in range(rng.randint(1, 9))
        ]
        expected = []
        for each in batch:
            own, event = stored[each.user_id], (each.job_id, each.event)
            is_full = not each.undo and event not in own and len(own) >= 3
            expected.append(is_full)
            if each.undo:
                own.discard(event)
            elif not is_full:
                own.add(event)
        refused = [error is not None for error in record(database, *batch)]
        assert refused == expected
        for user, events in stored.items():
            assert set(events_of(database, user)) == events
            repeated = [change(user, job, event) for job, event in events]  # type: ignore[arg-type]
            assert record(database, *repeated) == [None] * len(events)


A_UUID, OTHER_UUID = (str(uuid.UUID(int=number << 96)) for number in (1, 2))
KINDS: Mapping[str, tuple[Id, Id]] = {
    "smallint": (1, -2),
    "bigint": (2**62, -(2**63)),
    "uuid": (A_UUID, OTHER_UUID),
    "text": ("a/b", "0'7 %s {}"),
    "varchar": ("é", "Ä"),
    'text COLLATE "POSIX"': ("a", "B"),
    "text COLLATE ucs_basic": ("a", "B"),
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
        with database.snapshot(Deadline.after(30)) as transaction:
            users = Catalogue.read(transaction).users
            found = users_by_id(transaction, [user], users=users, version="none")
        assert found[user].feedback.taste().liked == (str(job),)
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


@pytest.fixture(scope="module")
def served_url(postgres: Server) -> Iterator[str]:
    with fresh_database(postgres) as url:
        add_rows(url)
        yield url


@pytest.fixture(scope="module")
def running(
    served_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    log_file = tmp_path_factory.mktemp("service") / "log"
    with running_service(served_url, log_file) as service:
        yield service


@pytest.fixture
def service(running: Service, served_url: str) -> Service:
    """The service of these tests, over no events."""
    run(served_url, "TRUNCATE recommender.feedback")
    return running


def feedback(service: Service, **body: object) -> httpx.Response:
    return service.client.post("/api/feedback", json=body)


def test_feedback_over_http(served_url: str, service: Service) -> None:
    given = {"user_id": 7, "job_id": 1, "event": "dismissed"}
    for _ in range(2):
        answer = feedback(service, **given)
        assert (answer.status_code, answer.json()) == (200, {"success": True})
    (stored,) = service.client.get("/api/users/7/feedback").json()["feedback"]
    assert (stored["job_id"], stored["event"]) == (1, "dismissed")
    assert feedback(service, **given, undo=True).json() == {"success": True}
    mine = service.client.get("/api/users/7/feedback").json()
    assert mine == {"success": True, "feedback": []}


def test_a_batch_over_http_answers_each_event(
    served_url: str, service: Service
) -> None:
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
    assert run(served_url, EVENTS) == [("7", "1", "saved"), ("7", "2", "opened")]


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
    served_url: str, service: Service, body: Mapping[str, object], status: int
) -> None:
    answer = feedback(service, **body)
    assert answer.status_code == status
    assert answer.json()["success"] is False
    assert run(served_url, EVENTS) == []


def post(service: Service, path: str, content: str) -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    return service.client.post(path, content=content, headers=headers)


NO_IDS: Sequence[Any] = (
    True, None, 1.5, 1e300, 2**63, -(2**63) - 1, 10**400, "", "a\x00b", "9" * 400, "+7",
    "7 ", "\u0667", "7.0", "\ud800", [7], {"id": 7}, str(2**63), "nobody",
)  # fmt: skip


def test_what_is_no_id_is_refused_alone_or_with_its_batch(
    served_url: str, service: Service
) -> None:
    event = {"user_id": 7, "job_id": 1, "event": "saved"}
    for given in NO_IDS:
        for name in ("user_id", "job_id"):
            other = {**event, name: given}
            answer = post(service, "/api/feedback", json.dumps(other))
            assert answer.status_code in (404, 422), (given, answer.text)
            detail = answer.json()["detail"]
            assert detail.endswith(".")
            content = json.dumps({"events": [event, other]})
            batch = post(service, "/api/feedback/batch", content)
            if answer.status_code == 422:
                assert batch.status_code == 422
                continue
            first, second = batch.json()["results"]
            assert first == {"success": True}
            assert (second["status"], second["detail"]) == (404, detail)
    assert run(served_url, EVENTS) == [("7", "1", "saved")]


def test_numbers_that_are_no_ids_are_refused(served_url: str, service: Service) -> None:
    for number in ("NaN", "Infinity", "-Infinity", "1e999", "-0.0", "1e-9"):
        content = f'{{"user_id": {number}, "job_id": 1, "event": "saved"}}'
        answer = post(service, "/api/feedback", content)
        assert answer.status_code in (404, 422), (number, answer.text)
    assert run(served_url, EVENTS) == []


@pytest.mark.parametrize(("count", "status"), [(500, 200), (501, 422), (100_000, 413)])
def test_a_batch_has_a_limit(
    served_url: str, service: Service, count: int, status: int
) -> None:
    event = {"user_id": 7, "job_id": 1, "event": "saved"}
    content = json.dumps({"events": [event] * count})
    answer = post(service, "/api/feedback/batch", content)
    assert answer.status_code == status
    assert run(served_url, EVENTS) == ([("7", "1", "saved")] if status == 200 else [])


def test_one_job_may_be_saved_and_dismissed_and_is_not_liked_then(
    database: Database, url: str
) -> None:
    events = [change(7, 1, "dismissed"), change(7, 1, "saved"), change(7, 2, "saved")]
    assert record(database, *events) == [None] * 3
    with database.snapshot(Deadline.after(30)) as transaction:
        users = Catalogue.read(transaction).users
        (user,) = users_by_id(transaction, [7], users=users, version="none").values()
    assert user.feedback.left_out == ["1"]
    assert user.feedback.taste().liked == ("2",)
    assert user.feedback.taste().disliked == ("1",)


def test_two_deployments_store_the_same_events_once(url: str) -> None:
    changes = [change(user, job, "saved") for user in (7, 8) for job in (1, 2, 3)]
    undone = [replace(each, undo=True) for each in changes]
    with (
        closing(Database(url, pool_size=4)) as one,
        closing(Database(url, pool_size=4)) as other,
        ThreadPoolExecutor(8) as pool,
    ):

        def store(number: int) -> list[AppError | None]:
            order = random.Random(number).sample(changes, len(changes))
            return record((one, other)[number % 2], *order)

        def undo(number: int) -> list[AppError | None]:
            order = random.Random(number).sample(undone, len(changes))
            return record((one, other)[number % 2], *order)

        for work, left in ((store, len(changes)), (undo, 0)):
            for outcomes in pool.map(work, range(40)):
                assert outcomes == [None] * len(changes)
            assert len(run(url, EVENTS)) == left


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
