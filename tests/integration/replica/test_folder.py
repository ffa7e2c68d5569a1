"""Files that are damaged, of another database, on a full disk, or killed half-way."""

import json
import random
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg2.sql import SQL, Identifier

from app.deadline import Deadline
from app.ranking.retrieval.replica import filling as filling_module
from app.ranking.retrieval.replica.files import FILE_PARTS
from app.ranking.retrieval.replica.keeper import AFTER_ERROR_S, ANOTHER_DATABASE, IDLE_S
from tests.integration.replica.conftest import JOBS
from tests.integration.replica.replicas import (
    Exercise,
    add_jobs,
    around,
    generation,
    started,
)
from tests.support.postgres import Server, run
from tests.support.service import ROOT
from tests.support.waiting import be_slow, wait_until

OTHER = around(1, seed=3)[0].tobytes()
EDIT = "UPDATE skill_job1 SET embedding = %s WHERE job_id %% 9 = %s"


@pytest.fixture
def folder(filled: Exercise) -> Path:
    """That of a replica whose process has ended."""
    folder = filled.replica.keeper._files.folder
    filled.replica.close()
    return folder


def test_a_restart_reads_what_changed_and_nothing_else(
    filled: Exercise, folder: Path
) -> None:
    before = generation(folder)
    run(filled.url, EDIT, (OTHER, 1))
    with started(filled.url, folder) as exercise:
        assert exercise.check() is None
        exercise.pass_once()
        assert exercise.check() is not None
    assert generation(folder) == before


@pytest.mark.parametrize("part", [*FILE_PARTS, "json"])
def test_damaged_files_are_made_anew(filled: Exercise, folder: Path, part: str) -> None:
    run(filled.url, "DELETE FROM skill_job1 WHERE job_id % 5 = 0")
    with started(filled.url, folder) as exercise:
        exercise.pass_once()
    before = generation(folder)
    (path,) = folder.glob(f"*.{part}")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with started(filled.url, folder) as exercise:
        exercise.pass_once()
        assert exercise.check() is not None
    assert generation(folder) != before


@contextmanager
def copied(postgres: Server, name: str) -> Iterator[str]:
    """A copy of the database with this name; its connection string."""
    copy = f"{name}_copy"
    names = {"name": Identifier(name), "copy": Identifier(copy)}
    run(
        postgres.url(),
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
        (name,),
    )
    run(postgres.url(), SQL("CREATE DATABASE {copy} TEMPLATE {name}").format(**names))
    try:
        yield postgres.url(copy)
    finally:
        run(postgres.url(), SQL("DROP DATABASE {copy} WITH (FORCE)").format(**names))


def test_files_of_another_database_are_made_anew(
    filled: Exercise, folder: Path, postgres: Server
) -> None:
    """A copy has the same tables, states and xids; and so has what is restored."""
    (name,) = run(filled.url, "SELECT current_database()")[0]
    with copied(postgres, name) as url:
        run(url, EDIT, (OTHER, 2))
        before = generation(folder)
        with started(url, folder) as exercise:
            exercise.pass_once()
            assert exercise.check() is not None
        assert generation(folder) != before


def test_a_second_database_with_the_same_folder_is_told_so_once(
    filled: Exercise, postgres: Server, caplog: pytest.LogCaptureFixture
) -> None:
    (name,) = run(filled.url, "SELECT current_database()")[0]
    with copied(postgres, name) as url:
        filled.pass_once()
        with started(url, filled.replica.keeper._files.folder) as exercise:
            for _ in range(2):
                exercise.pass_once()
                assert exercise.check() is None
        assert filled.check() is not None
    warnings = [r.message for r in caplog.records if r.levelname == "WARNING"]
    assert warnings == [ANOTHER_DATABASE]


def test_a_database_that_went_back_in_time_is_noticed(
    filled: Exercise, folder: Path
) -> None:
    """A disk's snapshot has the same identity and an earlier transaction."""
    path = folder / "manifest.json"
    files = filled.replica.keeper._files
    manifest = files.manifest()
    assert manifest is not None
    xid = int(manifest.newest.split(":")[1]) + 1000
    ahead = f"{xid}:{xid}:"
    files.commit(replace(manifest, since=ahead, newest=ahead))
    run(filled.url, EDIT, (OTHER, 2))
    before = json.loads(path.read_text())["generation"]
    with started(filled.url, folder) as exercise:
        exercise.pass_once()
        assert exercise.check() is not None
    assert json.loads(path.read_text())["generation"] != before


def test_another_model_has_files_of_its_own(filled: Exercise, folder: Path) -> None:
    run(filled.url, "SELECT recommender.switch_model('other')")
    with started(filled.url, folder) as exercise:
        exercise.pass_once()
        assert exercise.check() is None
        run(filled.url, "SELECT recommender.switch_model('all-MiniLM-L6-v2')")
        exercise.pass_once()
        assert exercise.check() is not None


def test_a_fill_that_was_stopped_goes_on_where_it_was(
    empty: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling_module, "FILL_SLICE_ROWS", 10)
    add_jobs(empty.url, around(100), range(100))
    look, calls = empty.replica.keeper._filling._look, []

    def stopping(*args: object) -> object:
        calls.append(1)
        if len(calls) == 5:
            empty.replica.keeper._stop.set()
        return look(*args)  # type: ignore[arg-type]

    empty.replica.keeper._filling._look = stopping  # type: ignore[assignment, method-assign]
    empty.pass_once()
    assert empty.check() is None
    empty.replica.close()
    folder = empty.replica.keeper._files.folder
    manifest = empty.replica.keeper._files.manifest()
    assert manifest is not None
    assert (manifest.rows, manifest.complete) == (50, False)
    run(empty.url, "DELETE FROM skill_job1 WHERE job_id < 20")
    with started(empty.url, folder) as exercise:
        exercise.pass_once()
        assert exercise.check() is not None
    assert generation(folder) == str(manifest.generation)


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def test_a_full_disk_leaves_requests_to_the_full_scan_until_there_is_room(
    empty: Exercise,
) -> None:
    add_jobs(empty.url, around(50), range(50))
    with room_for(10_000), pytest.raises(OSError, match="File too large"):
        empty.pass_once()
    assert empty.check() is None
    empty.pass_once()
    assert empty.check() is not None
    # Full again: what is there goes on, with the changes that a request can read.
    run(empty.url, EDIT, (OTHER, 1))
    (path,) = empty.replica.keeper._files.folder.glob("*.exact")
    room = path.stat().st_size + 100
    with room_for(room), pytest.raises(OSError, match="File too large"):
        empty.pass_once()
    assert empty.rows_read() > 0
    empty.pass_once()
    assert empty.rows_read() == 0


def test_a_folder_that_cannot_be_used_is_named_once_in_the_log(
    empty: Exercise, caplog: pytest.LogCaptureFixture
) -> None:
    folder = empty.replica.keeper._files.folder
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file where the folder should be")
    for _ in range(3):
        empty.replica.keeper._try_once()
    assert [record.getMessage() for record in caplog.records] == [
        (
            "The replica cannot be kept, and the full scan answers what it cannot:"
            " the folder of CACHE_DIR cannot be used (File exists); give it 2 KB for"
            " each job."
        )
    ]
    add_jobs(empty.url, around(5), range(5))
    assert empty.check() is None
    folder.unlink()
    empty.replica.keeper._try_once()
    assert empty.check() is not None


def test_requests_do_not_wake_the_keeper_of_a_table_that_cannot_be_followed(
    filled: Exercise,
) -> None:
    """It would look again and again, in vain."""
    keeper = filled.replica.keeper
    assert keeper._try_once() == IDLE_S
    run(filled.url, "CREATE TABLE more () INHERITS (skill_job1)")
    assert filled.check() is None
    for _ in range(2):
        assert keeper._try_once() == AFTER_ERROR_S
        assert filled.check() is None
    deadline = Deadline.after(0.05)
    keeper._wait(deadline, can_wake=False)
    assert deadline.remaining_s() == 0
    # A replica that is there is brought up to date at once.
    filled.replica.views.wake_keeper()
    deadline = Deadline.after(3600)
    keeper._wait(deadline, can_wake=True)
    assert deadline.remaining_s() > 0


def test_the_thread_fills_and_follows(empty: Exercise) -> None:
    add_jobs(empty.url, around(50), range(50))
    empty.replica.start()
    wait_until(lambda: empty.check() is not None)
    add_jobs(empty.url, around(200), range(1000, 1200))
    assert empty.check() is not None
    wait_until(lambda: (found := empty.check()) is not None and not found.volume.rows)


KEEPER = """
import sys, threading
from pathlib import Path
from app.ranking.retrieval.replica import filling
from app.ranking.retrieval.replica.replica import Replica
from app.storage.connection.database import Database
filling.FILL_SLICE_ROWS = filling.CHANGES_SLICE_ROWS = 20
filling.FEWEST_DEAD = 50
database = Database(sys.argv[1], pool_size=1)
replica = Replica(
    database, Path(sys.argv[2]), version="all-MiniLM-L6-v2", scan_chunk_rows=50
)
print("ready", flush=True)
while True:
    replica.keeper.run_once()
"""
KILLS = 12


def test_a_process_that_is_killed_at_any_moment_leaves_files_that_can_be_trusted(
    filled: Exercise, folder: Path, tmp_path: Path
) -> None:
    random.seed(7)
    sound = 0
    for number in range(KILLS):
        if number % 4 == 3:
            shutil.rmtree(folder)  # killed while it fills
        with subprocess.Popen(
            [sys.executable, "-c", KEEPER, filled.url, str(folder)],
            cwd=ROOT, stdout=subprocess.PIPE,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            process.stdout.readline()
            for step in range(random.randrange(4)):
                vector = around(1, seed=number * 10 + step)[0].tobytes()
                run(filled.url, EDIT, (vector, random.randrange(9)))
                be_slow(random.uniform(0, 0.05))
            be_slow(random.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
        # As it was left, by another process that may not write; and by the next one.
        copy = tmp_path / f"copy {number}"
        if folder.exists():
            shutil.copytree(folder, copy)
        with started(filled.url, copy) as exercise:
            exercise.replica.keeper._has_lock = lambda: False  # type: ignore[method-assign]
            exercise.pass_once()
            sound += exercise.check() is not None
        with started(filled.url, folder) as exercise:
            exercise.pass_once()
            found = exercise.check()
            assert found is not None
            assert found.analyzed == JOBS
    assert sound >= KILLS // 2
