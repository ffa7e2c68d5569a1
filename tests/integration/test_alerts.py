"""recommend_all --new-since: whose best jobs are new, and who is told."""

import base64
import csv
import hmac
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.commands.alerts import moment_of
from app.commands.migrate import migrate
from app.commands.recommend_all import main as recommend_all
from app.commands.webhook import ATTEMPTS, Webhook, secret_bytes
from app.errors import AppError, ConfigError
from app.storage.connection.database import Database
from app.storage.recommendations import NewJob
from tests.support.answers import Asked, answering, response
from tests.support.bulk import fill_jobs
from tests.support.encoders import HashEncoder, direction
from tests.support.postgres import run
from tests.support.rows import VERSION, add_job, add_user, admit
from tests.support.service import ROOT
from tests.support.skills import fill

SECRET = "whsec_" + base64.b64encode(b"a key of the team").decode()
USERS = 5
TOP = ["--top-n", "3"]


@pytest.fixture
def url(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Five users and forty jobs, and the results of a first run."""
    fill_jobs(database_url, 40)
    for user in range(1, USERS + 1):
        add_user(database_url, user, f"skill {user}")
    admit(database_url)
    for user in range(1, USERS + 1):
        run(
            database_url,
            "UPDATE recommender.user_state SET embedding = %s, embedding_version = %s"
            " WHERE user_id = %s",
            (direction(f"user {user}").tobytes(), VERSION, user),
        )
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MODEL_DIR", str(ROOT / "models" / "all-MiniLM-L6-v2"))
    monkeypatch.setenv("SKILL_CACHE_DIR", str(tmp_path / "skills"))
    monkeypatch.setenv("ALERT_WEBHOOK_SECRET", SECRET)
    return database_url


def add_job_for(url: str, user: int, job: int) -> None:
    """The best job of this user."""
    add_job(url, job, f"for {user}", embedding=direction(f"user {user}").tobytes())


@dataclass
class Receiver:
    """A webhook that answers with these statuses, and 200 after them."""

    statuses: list[int] = field(default_factory=list)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    address: str = ""

    @contextmanager
    def running(self) -> Iterator["Receiver"]:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.requests.append((headers, body))
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
            self.address = f"http://127.0.0.1:{server.server_port}/hook"
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()


def is_signed(headers: dict[str, str], body: bytes) -> bool:
    """As a receiver checks it, by the text of the standard."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = hmac.new(b"a key of the team", signed, sha256).digest()
    version, _, signature = headers["webhook-signature"].partition(",")
    return version == "v1" and base64.b64decode(signature) == expected


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_first_run_tells_nobody_and_the_next_one_whose_jobs_are_new(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new.csv"
    options = ["--to-table", *TOP, "--new-since", "last", "--alerts", str(file)]
    assert recommend_all(options) == 0
    assert "nobody is told" in capsys.readouterr().out
    assert not file.exists()
    assert recommend_all(options) == 0
    assert "0 users have new jobs" in capsys.readouterr().out
    assert read(file) == []
    add_job_for(url, 2, 1000)
    add_job_for(url, 5, 1001)
    assert recommend_all(options) == 0
    assert "2 users have new jobs" in capsys.readouterr().out
    found = [(row["user_id"], row["rank"], row["job_id"]) for row in read(file)]
    assert found == [("2", "1", "1000"), ("5", "1", "1001")]
    (score,) = {row["similarity_score"] for row in read(file)}
    assert float(score) == pytest.approx(1, abs=1e-5)


def test_a_time_tells_the_same_as_long_as_the_jobs_stay(
    url: str, tmp_path: Path
) -> None:
    assert recommend_all(["--to-table", *TOP]) == 0
    (before,) = run(url, "SELECT clock_timestamp()")
    add_job_for(url, 2, 1000)
    file = tmp_path / "new.csv"
    since = ["--new-since", before[0].isoformat(), "--alerts", str(file)]
    for _ in range(2):
        assert recommend_all(["--to-table", *TOP, *since]) == 0
        assert [(row["user_id"], row["job_id"]) for row in read(file)] == [
            ("2", "1000")
        ]
    run(url, "DELETE FROM skill_job1 WHERE job_id = 1000")
    assert recommend_all(["--to-table", *TOP, *since]) == 0
    # What takes its place is new.
    assert [row["user_id"] for row in read(file)] == ["2"]
    assert read(file)[0]["rank"] == "3"


def test_a_webhook_gets_signed_requests(url: str) -> None:
    large = 2**53 + 1
    add_user(url, large, "skill 3")
    admit(url)
    run(
        url,
        "UPDATE recommender.user_state SET embedding = %s, embedding_version = %s"
        " WHERE user_id = %s",
        (direction("user 3").tobytes(), VERSION, large),
    )
    assert recommend_all(["--to-table", *TOP]) == 0
    add_job_for(url, 3, large)
    with Receiver().running() as receiver:
        options = ["--new-since", "last", "--webhook", receiver.address]
        assert recommend_all(["--to-table", *TOP, *options]) == 0
    ((headers, body),) = receiver.requests
    assert is_signed(headers, body)
    assert not is_signed(headers, body + b" ")
    data = json.loads(body)["data"]
    # Large integers as everywhere in the API's JSON.
    assert [(user["user_id"], len(user["jobs"])) for user in data] == [
        (3, 1), (str(large), 1),
    ]  # fmt: skip
    assert {user["jobs"][0]["job_id"] for user in data} == {str(large)}


JOB = NewJob(1, 1, 7, 0.5, None, datetime(2026, 1, 1, tzinfo=UTC))


def hook(receiver: Receiver, waits: list[float]) -> Webhook:
    return Webhook(receiver.address, secret_bytes(SECRET), sleep=waits.append)


@pytest.mark.parametrize("status", [503, 429, 408, 500])
def test_a_webhook_that_is_busy_is_asked_again_with_the_same_id(status: int) -> None:
    waits: list[float] = []
    with Receiver([status, status]).running() as receiver:
        assert hook(receiver, waits).send(iter([[JOB]])) == 1
    assert waits == [1.0, 2.0]
    assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 1
    assert len(receiver.requests) == 3


def test_a_webhook_that_stays_busy_ends_with_an_error() -> None:
    waits: list[float] = []
    with Receiver([503] * 99).running() as receiver, pytest.raises(AppError) as raised:
        hook(receiver, waits).send(iter([[JOB]]))
    assert str(raised.value) == (
        "The webhook does not accept alerts: it answers with the status 503."
    )
    assert len(receiver.requests) == ATTEMPTS
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0]


@pytest.mark.parametrize("status", [400, 401, 404, 302])
def test_a_refusal_or_a_redirect_is_final(status: int) -> None:
    waits: list[float] = []
    with (
        Receiver([status]).running() as receiver,
        pytest.raises(AppError, match=f"with the status {status}"),
    ):
        hook(receiver, waits).send(iter([[JOB]]))
    assert (len(receiver.requests), waits) == (1, [])


def test_an_address_without_a_server_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    waits: list[float] = []
    webhook = Webhook(f"http://127.0.0.1:{port}/", b"key", sleep=waits.append)
    with pytest.raises(AppError, match="it cannot be reached"):
        webhook.send(iter([[JOB]]))
    assert len(waits) == ATTEMPTS - 1


def test_what_was_not_told_is_told_by_the_next_run(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recommend_all(["--to-table", *TOP]) == 0
    add_job_for(url, 3, 1000)
    with Receiver([400]).running() as receiver:
        options = ["--to-table", *TOP, "--webhook", receiver.address]
        options += ["--new-since", "last"]
        assert recommend_all(options) == 2
        assert capsys.readouterr().err == (
            "recommend_all: The webhook does not accept alerts: it answers with the"
            " status 400. The recommendations are stored; to tell whose are new, run"
            " the same command again.\n"
        )
        # A run that tells nobody does not make it old news.
        assert recommend_all(["--to-table", *TOP]) == 0
        assert recommend_all(options) == 0
        assert recommend_all(options) == 0
    first, second = receiver.requests
    assert first[1] == second[1]
    assert first[0]["webhook-id"] == second[0]["webhook-id"]


def test_what_was_being_told_when_the_run_was_killed_is_told_again(url: str) -> None:
    assert recommend_all(["--to-table", *TOP]) == 0
    add_job_for(url, 3, 1000)
    taken = threading.Event()
    bodies: list[bytes] = []

    def answer(asked: Asked) -> bytes | None:
        bodies.append(asked.body)
        if len(bodies) == 1:
            taken.set()
            # Answers once the sender is gone.
            asked.connection.recv(1)
        return response(b"")

    with answering(answer) as address:
        options = ["--to-table", *TOP, "--webhook", address, "--new-since", "last"]
        program = [sys.executable, str(ROOT / "scripts" / "recommend_all.py")]
        process = subprocess.Popen([*program, *options], env=os.environ)
        assert taken.wait(60)
        process.kill()
        process.wait(30)
        assert recommend_all(options) == 0
        assert recommend_all(options) == 0
    assert len(bodies) == 2
    assert bodies[0] == bodies[1]


def test_a_run_without_users_tells_nobody(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(url, "DELETE FROM users")
    with Receiver().running() as receiver:
        options = ["--to-table", *TOP, "--webhook", receiver.address]
        for _ in range(2):
            assert recommend_all([*options, "--new-since", "last"]) == 0
    assert "0 users have new jobs" in capsys.readouterr().out
    assert receiver.requests == []


def test_text_ids_are_told_as_they_are(url: str) -> None:
    (before,) = run(url, "SELECT now() - interval '1 day'")
    run(url, "ALTER TABLE users ALTER user_id DROP IDENTITY IF EXISTS")
    run(url, "ALTER TABLE users ALTER user_id TYPE text USING 'é ' || user_id")
    list(migrate(url))
    with Receiver().running() as receiver:
        options = ["--new-since", before[0].isoformat(), "--webhook", receiver.address]
        with closing(Database(url, pool_size=1)) as database:
            fill(database, HashEncoder())
        assert recommend_all(["--to-table", *TOP, *options]) == 0
    ((_, body),) = receiver.requests
    told = [user["user_id"] for user in json.loads(body)["data"]]
    assert told == [f"é {user}" for user in range(1, USERS + 1)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--csv", "x", "--new-since", "last"], "--new-since needs --to-table"),
        (["--to-table", "--alerts", "x"], "--alerts and --webhook need --new-since"),
        (["--to-table", "--new-since", "soon"], "--new-since should be `last` or a"),
        (
            ["--to-table", "--new-since", "last", "--webhook", "ftp://x"],
            "--webhook should be a URL",
        ),
        (["--to-table", "--new-since", ""], "--new-since should be `last` or a"),
        (["--to-table", "--new-since", "9999-12-31"], "--new-since is in the future"),
        (
            ["--to-table", "--new-since", "last", "--alerts", "."],
            "--alerts should be a file",
        ),
        (["--csv", "."], "--csv should be a file"),
    ],
)
def test_options_that_do_not_belong_together_are_refused(
    url: str,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    assert recommend_all(options) == 2
    assert message in capsys.readouterr().err
    assert run(url, "SELECT count(*) FROM recommender.recommendation_run") == [(0,)]


def test_a_time_without_an_offset_is_utc() -> None:
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert moment_of("2026-01-31T12:00") == noon
    assert moment_of("2026-01-31T14:00+02:00") == noon
    assert moment_of("2026-01-31") == noon.replace(hour=0)


@pytest.mark.parametrize(
    "text", ["soon", "2026-02-30", "2026-01-31T12:00 Europe/Berlin", "1769860800"]
)
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--new-since should be"):
        moment_of(text)


@given(st.datetimes(timezones=st.timezones()))
def test_a_time_is_the_same_in_any_zone_and_never_to_come(moment: datetime) -> None:
    if moment <= datetime.now(UTC):
        # Not ==, which is never true of a time that a zone repeats.
        assert not moment_of(moment.isoformat()) - moment
    else:
        with pytest.raises(ConfigError, match="in the future"):
            moment_of(moment.isoformat())


def test_a_file_that_cannot_be_written_is_named(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recommend_all(["--to-table", *TOP]) == 0
    add_job_for(url, 3, 1000)
    options = ["--to-table", *TOP, "--new-since", "last", "--alerts"]
    assert recommend_all([*options, str(tmp_path / "no" / "new.csv")]) == 2
    said = capsys.readouterr().err
    assert "new.csv cannot be written: No such file or directory. The" in said
    assert recommend_all([*options, str(tmp_path / "new.csv")]) == 0
    assert [row["job_id"] for row in read(tmp_path / "new.csv")] == ["1000"]
