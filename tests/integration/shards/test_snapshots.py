"""Readers while rows move: one with an earlier snapshot never lacks jobs."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from tests.integration.shards.answers import insert_rows
from tests.support.postgres import run
from tests.support.rows import admit
from tests.support.shards import Databases

JOBS = 60
COUNT = "SELECT count(*) FROM skill_job1"
# Each moves rows into other tables of the coordinator, or of a shard.
MOVES: Sequence[Sequence[str]] = ([], ["one"], ["one", "two"], [])


@contextmanager
def earlier_snapshot(url: str) -> Iterator[Cursor]:
    """A transaction that has a snapshot, and has not read the jobs yet."""
    with closing(psycopg2.connect(url)) as connection:
        connection.set_session(isolation_level="REPEATABLE READ")
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM users")
            yield cursor


def test_rows_move_after_earlier_snapshots_have_ended(
    databases: Databases,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    insert_rows(databases.url, jobs=JOBS)
    monkeypatch.setattr("app.commands.shards.session.SWAP_PAUSE_S", 0.0)
    for names in MOVES:
        with earlier_snapshot(databases.url) as cursor, monkeypatch.context() as quick:
            quick.setattr("app.commands.shards.session.MOST_SWAPS", 2)
            status = databases.lay_out(tmp_path, names)
            cursor.execute(COUNT)
            assert cursor.fetchall() == [(JOBS,)]
        if status:
            assert capsys.readouterr().err == (
                "shards: A transaction that began before the rows were copied did not"
                " end, and nothing was changed; end the long transactions and run it"
                " again.\n"
            )
        assert databases.lay_out(tmp_path, names) == 0
        assert run(databases.url, COUNT) == [(JOBS,)]
    moving = "SELECT to_regnamespace('recommender_moving')"
    assert run(databases.url, moving) == [(None,)]


def test_readers_and_writers_go_on_while_rows_move(
    databases: Databases, tmp_path: Path
) -> None:
    insert_rows(databases.url, jobs=JOBS)
    done, counts = threading.Event(), set()
    written: list[int] = []

    def read() -> None:
        while not done.is_set():
            with earlier_snapshot(databases.url) as cursor:
                cursor.execute(COUNT)
                counts.update(cursor.fetchall())

    def write() -> None:
        while not done.is_set():
            number = len(written)
            run(
                databases.url,
                "UPDATE skill_job1 SET skills = %s WHERE job_id = %s",
                (f"edited {number}", 1 + number % JOBS),
            )
            written.append(number)

    threads = [threading.Thread(target=each) for each in (read, read, read, write)]
    for thread in threads:
        thread.start()
    try:
        for names in (["one", "two"], ["two"], []):
            assert databases.lay_out(tmp_path, names) == 0
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert counts == {(JOBS,)}
    expected = {1 + n % JOBS: f"edited {n}" for n in written}
    texts = dict(run(databases.url, "SELECT job_id, skills FROM skill_job1"))
    assert texts.items() >= expected.items()
    assert len(texts) == JOBS
    admit(databases.url)
    states = "SELECT count(*) FROM recommender.job_state WHERE state <> 'gone'"
    assert run(databases.url, states) == [(JOBS,)]
