"""A switch of the model under load: real processes, and edits that go on meanwhile."""

import csv
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from psycopg2.sql import SQL

from app.encoder.lazy import LazyEncoder
from app.encoder.passages import PassageEncoder
from tests.integration.encoder.checkpoints import Checkpoint, build
from tests.support.postgres import run
from tests.support.service import ROOT, Service, running_service
from tests.support.waiting import wait_until

GUIDE = "all-MiniLM-L6-v2"
OTHER = "other-model"
CLIENTS = 8
STABLE_JOBS = 40
EDITED_JOBS = 30
USERS = 6
WITHIN_S = 300.0
TYPED = ("python, sql", "nursing elderly people")


def sample(count: int) -> list[str]:
    with (ROOT / "samples" / "jobs.csv").open(encoding="utf-8", newline="") as file:
        return [row["skills"] for row in csv.DictReader(file)][:count]


@pytest.fixture
def settings(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Both models, and jobs of which some are never edited."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / GUIDE).symlink_to(ROOT / "models" / GUIDE)
    texts = sample(STABLE_JOBS + EDITED_JOBS)
    build(tmp_path / "models", Checkpoint(OTHER), texts)
    found = {
        "DATABASE_URL": database_url,
        "MODEL_DIR": str(tmp_path / "models" / GUIDE),
        "JOB_COLUMNS": "stable",
        "CACHE_DIR": str(tmp_path / "cache"),
        "SKILL_CACHE_DIR": str(tmp_path / "cache"),
        "RATE_LIMIT_PER_MINUTE": "0",
    }
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    run(database_url, "ALTER TABLE skill_job1 ADD stable boolean")
    for number, text in enumerate(texts):
        insert = "INSERT INTO skill_job1 (job_id, skills, stable) VALUES (%s, %s, %s)"
        run(database_url, SQL(insert), (number, text, number < STABLE_JOBS))
    for number, text in enumerate(sample(USERS)[::-1]):
        run(database_url, "INSERT INTO users VALUES (%s, %s)", (number, text))
    assert finish(start("generate_embeddings")) == 0
    return found


def start(script: str, *arguments: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *arguments]
    return subprocess.Popen(command, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})


def finish(process: "subprocess.Popen[bytes]") -> int:
    return process.wait(WITHIN_S)


@contextmanager
def started(script: str, *arguments: str) -> "Iterator[subprocess.Popen[bytes]]":
    process = start(script, *arguments)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


Answer = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Seen:
    """One response: when it was asked for and came, and what it said."""

    service: int
    asked_at: float
    came_at: float
    question: int
    status: int
    answer: Answer


def question(number: int) -> dict[str, object]:
    source: dict[str, object] = (
        {"user_id": number} if number < USERS else {"skills": TYPED[number - USERS]}
    )
    return source | {"filters": {"stable": True}, "rank_by": "similarity"}


QUESTIONS = range(USERS + len(TYPED))


def ask(services: Sequence[Service], which: int, number: int) -> Seen:
    asked_at = time.monotonic()
    response = services[which].recommend(**question(number))
    rows = response.json().get("recommendations", ())
    answer = tuple((row["job_id"], row["similarity_score"]) for row in rows)
    came_at = time.monotonic()
    return Seen(which, asked_at, came_at, number, response.status_code, answer)


def all_answers(services: Sequence[Service]) -> list[Answer]:
    """The answers now, which both services agree on."""
    first, second = (
        [ask(services, which, number).answer for number in QUESTIONS]
        for which in range(2)
    )
    assert first == second
    assert all(len(answer) == 10 for answer in first)
    return first


class Load:
    """Clients of both services and an editor, until the end of the block."""

    def __init__(self, url: str, services: Sequence[Service]) -> None:
        self._url, self._services = url, services
        self._over = threading.Event()
        self.seen: list[Seen] = []
        self.hybrid: set[int] = set()
        self.edits = 0

    def __enter__(self) -> "Load":
        self._threads = ThreadPoolExecutor(CLIENTS + 1)
        self._running = [self._threads.submit(self._ask, n) for n in range(CLIENTS)]
        self._running.append(self._threads.submit(self._edit))
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for running in self._running:
            running.result(WITHIN_S)
        self._threads.shutdown()

    def _ask(self, client: int) -> None:
        number = client
        while not self._over.is_set():
            number += 1
            self.seen.append(ask(self._services, client % 2, number % len(QUESTIONS)))
            body = {"user_id": number % USERS, "rank_by": "hybrid"}
            self.hybrid.add(self._services[client % 2].recommend(**body).status_code)

    def _edit(self) -> None:
        while not self._over.wait(0.2):
            self.edits += 1
            id_ = STABLE_JOBS + self.edits % EDITED_JOBS
            text = f"welding, edit {self.edits}"
            run(
                self._url,
                "UPDATE skill_job1 SET skills = %s WHERE job_id = %s",
                (text, id_),
            )

    def asked_after(self, moment: float) -> int:
        return sum(seen.asked_at > moment for seen in self.seen)


def count(url: str, query: str) -> int:
    number: int = run(url, query)[0][0]
    return number


def is_finished(url: str) -> bool:
    noted = count(url, "SELECT count(*) FROM recommender.new_job")
    waiting = "SELECT count(*) FROM recommender.job_state WHERE state <> 'embedded'"
    return noted + count(url, waiting) == 0


def check_stored(url: str, models: Path) -> None:
    """Every job has the embedding of its text now, by the other model."""
    rows = run(
        url,
        "SELECT t.skills, e.embedding FROM skill_job1 AS t"
        " JOIN recommender.job_embedding AS e USING (job_id)",
    )
    assert len(rows) == STABLE_JOBS + EDITED_JOBS
    encoder = PassageEncoder(LazyEncoder(models / OTHER, OTHER))
    expected = encoder.encode([text for text, _ in rows])
    stored = np.array([np.frombuffer(data, "<f4") for _, data in rows])
    assert np.abs(expected - stored).max() < 1e-5


def check_answers(
    load: Load, before: Sequence[Answer], after: Sequence[Answer]
) -> None:
    """Each is by one model, the one before or the one after, and in this order."""
    assert {seen.status for seen in load.seen} == {200}
    assert load.hybrid == {200}
    for seen in load.seen:
        assert seen.answer in {before[seen.question], after[seen.question]}
    for service in range(2):
        own = [seen for seen in load.seen if seen.service == service]
        new = [seen for seen in own if seen.answer == after[seen.question]]
        first = min(seen.came_at for seen in new)
        late = [seen for seen in own if seen.asked_at > first]
        assert all(seen.answer == after[seen.question] for seen in late)
        assert len(new) < len(own)


@pytest.mark.timeout(900)
def test_a_switch_under_load_mixes_no_models_and_leaves_no_row_stale(
    database_url: str, settings: dict[str, str], tmp_path: Path
) -> None:
    with ExitStack() as stack:
        services = [
            stack.enter_context(
                running_service(database_url, tmp_path / f"log{n}", **settings)
            )
            for n in range(2)
        ]
        doomed, _ = (
            stack.enter_context(started("generate_embeddings", *arguments))
            for arguments in 2 * [("--watch", "--lease-s=2")]
        )
        before = all_answers(services)
        with Load(database_url, services) as load:
            filled = "SELECT count(*) FROM recommender.job_embedding"
            with started("switch_model", OTHER, "--batch-size=4") as stopped:
                wait_until(lambda: count(database_url, filled) > 0, within_s=WITHIN_S)
                stopped.send_signal(signal.SIGTERM)
                assert finish(stopped) == 128 + signal.SIGTERM
            with started("switch_model", OTHER, "--batch-size=4", "--lease-s=2"):
                wait_until(lambda: count(database_url, filled) > 8, within_s=WITHIN_S)
                # A worker dies, and so does the switch itself.
                doomed.send_signal(signal.SIGKILL)
            assert finish(start("switch_model", OTHER, "--lease-s=2")) == 0
            switched_at = time.monotonic()
            wait_until(
                lambda: load.asked_after(switched_at) > 2 * CLIENTS, within_s=WITHIN_S
            )
        wait_until(lambda: is_finished(database_url), within_s=WITHIN_S)
        after = all_answers(services)
        assert all(b != a for b, a in zip(before, after, strict=True))
        check_answers(load, before, after)
        assert load.edits > 0
        check_stored(database_url, tmp_path / "models")

        assert finish(start("switch_model", GUIDE, "--drop-old")) == 0
        assert all_answers(services) == before
        for table in ("job", "user", "skill"):
            rows = f"SELECT count(*) FROM recommender.{table}_embedding"
            assert count(database_url, rows) == 0
        assert is_finished(database_url)
