"""The command killed before each statement: no row is lost, the next run goes on."""

import multiprocessing
import os
import signal
import warnings
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from app.commands.migrate import migrate
from tests.integration.shards.answers import answers, embed, insert_rows
from tests.support.postgres import run
from tests.support.shards import Databases, Fleet

JOBS = 30
ROWS = "SELECT job_id, skills, embedding IS NULL FROM skill_job1 ORDER BY job_id"
LAYOUTS = (["one"], ["two"])
WITHIN_S = 60.0
EVERY = 5
# Of a move, at least.
STATEMENTS = 50


def lay_out_until(
    databases: Databases, folder: Path, names: list[str], last: int
) -> None:
    """In a process of its own, which ends like a lost machine before its statement of
    this number.
    """
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        if done == last:
            os.kill(os.getpid(), signal.SIGKILL)

    class Counted(Cursor):
        def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002
            count()
            super().execute(query, vars)

    class Counting(Connection):
        def commit(self) -> None:
            count()
            super().commit()
            count()

    connect = psycopg2.connect

    def counted(dsn: str, **options: Any) -> Any:
        factories = {"connection_factory": Counting, "cursor_factory": Counted}
        return connect(dsn, **factories, **options)

    pytest.MonkeyPatch().setattr(psycopg2, "connect", counted)
    os._exit(databases.lay_out(folder, names, partitions=1))


def was_killed(databases: Databases, folder: Path, names: list[str], last: int) -> bool:
    """False where it had fewer statements, and is done."""
    with warnings.catch_warnings():
        # NumPy's threads are not used by the child.
        warnings.simplefilter("ignore", DeprecationWarning)
        process = multiprocessing.get_context("fork").Process(
            target=lay_out_until, args=(databases, folder, names, last)
        )
        process.start()
    process.join(WITHIN_S)
    assert process.exitcode in {0, -signal.SIGKILL}
    return process.exitcode != 0


def test_a_move_killed_anywhere_loses_no_row(
    databases: Databases, tmp_path: Path
) -> None:
    insert_rows(databases.url, jobs=JOBS)
    list(migrate(databases.url, extras=["pgvector"]))
    embed(databases.url)
    wanted = answers(databases.url, tmp_path)
    rows = run(databases.url, ROWS)
    assert databases.lay_out(tmp_path, LAYOUTS[0], partitions=1) == 0
    # With EVERY = 1 it is each statement, and takes more than a minute.
    for turn, last in enumerate(range(1, 1000, EVERY), 1):
        names = LAYOUTS[turn % 2]
        if not was_killed(databases, tmp_path, names, last):
            break
        assert run(databases.url, ROWS) == rows
        assert databases.lay_out(tmp_path, names, partitions=1) == 0
        assert run(databases.url, ROWS) == rows
    print(f"{last} statements")
    assert last > STATEMENTS
    assert answers(databases.url, tmp_path) == wanted


@pytest.mark.parametrize("step", range(5, 100, 15))
def test_a_first_layout_killed_anywhere_loses_no_row(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    with fleet.fresh() as databases:
        monkeypatch.setenv("DATABASE_URL", databases.url)
        run(databases.url, "SELECT recommender.adopt()")
        insert_rows(databases.url, jobs=JOBS)
        rows = run(databases.url, ROWS)
        assert was_killed(databases, tmp_path, ["one", "two"], step)
        assert run(databases.url, ROWS) == rows
        run(databases.url, "UPDATE skill_job1 SET skills = 'edited' WHERE job_id = 3")
        assert databases.lay_out(tmp_path, ["one", "two"], partitions=1) == 0
        edited = {id_: text for id_, text, _ in rows} | {3: "edited"}
        texts = dict(run(databases.url, "SELECT job_id, skills FROM skill_job1"))
        assert texts == edited
        moving = "SELECT to_regnamespace('recommender_moving')"
        assert run(databases.url, moving) == [(None,)]
