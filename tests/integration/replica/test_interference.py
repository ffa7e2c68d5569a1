"""Files that are removed, truncated or short of room while a replica is in use."""

import os
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.ranking.retrieval.replica import filling as filling_module
from app.ranking.retrieval.replica.files import FILE_PARTS, ReplicaManifest
from tests.integration.replica.replicas import (
    Exercise,
    add_jobs,
    around,
    generation,
    started,
)
from tests.integration.replica.test_folder import room_for
from tests.support.postgres import run

OTHER = around(1, seed=3)[0].tobytes()
EDIT = "UPDATE skill_job1 SET embedding = %s WHERE job_id %% 9 = %s"
RECREATED = 20


def empty_out(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def folder_of(exercise: Exercise) -> Path:
    return exercise.replica.keeper._files.folder


def part_of(folder: Path, part: str) -> Path:
    (path,) = folder.glob(f"*.{part}")
    return path


def halve(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def replace_it(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.mkdir()


def held(folder: Path) -> tuple[int, int]:
    """How many descriptors and mappings of files of the folder this process has."""
    descriptors = [
        path
        for path in Path("/proc/self/fd").iterdir()
        if path.is_symlink() and str(path.readlink()).startswith(f"{folder}/")
    ]
    maps = Path("/proc/self/maps").read_text().count(f"{folder}/")
    return len(descriptors), maps


INTERFERENCES: Mapping[str, Callable[[Path], object]] = {
    "the folder is removed": shutil.rmtree,
    "all files are removed": empty_out,
    "the manifest is emptied": lambda folder: halve(folder / "manifest.json"),
    "vectors are removed": lambda folder: part_of(folder, "exact").unlink(),
    "another folder takes its place": replace_it,
}


@pytest.mark.parametrize("interference", list(INTERFERENCES))
def test_files_that_are_taken_away_are_made_anew(
    filled: Exercise, interference: str
) -> None:
    INTERFERENCES[interference](folder_of(filled))
    assert filled.check() is not None  # what is mapped stays
    is_rebuilt_and_sound(filled)


@pytest.mark.parametrize("part", FILE_PARTS)
def test_a_truncated_file_is_made_anew(filled: Exercise, part: str) -> None:
    """Nothing may read its pages before the pass: the kernel ends such a process."""
    run(filled.url, "DELETE FROM skill_job1 WHERE job_id % 5 = 0")
    filled.pass_once()
    halve(part_of(folder_of(filled), part))
    is_rebuilt_and_sound(filled)


def is_rebuilt_and_sound(exercise: Exercise) -> None:
    exercise.pass_once()
    found = exercise.check()
    assert found is not None
    assert found.volume.rows == 0
    with started(exercise.url, folder_of(exercise)) as other:
        before = generation(folder_of(exercise))
        other.pass_once()
        assert other.check() is not None
        assert generation(folder_of(exercise)) == before


def test_files_that_are_removed_during_a_fill_leave_no_hole(
    empty: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is made anew would begin with zeros instead of rows."""
    monkeypatch.setattr(filling_module, "FILL_SLICE_ROWS", 10)
    add_jobs(empty.url, around(100), range(100))
    look, calls = empty.replica.keeper._filling._look, []

    def removing(*args: object) -> object:
        calls.append(1)
        if len(calls) == 5:
            empty_out(folder_of(empty))
        return look(*args)  # type: ignore[arg-type]

    empty.replica.keeper._filling._look = removing  # type: ignore[assignment, method-assign]
    with pytest.raises(OSError, match="removed or truncated"):
        empty.pass_once()
    is_rebuilt_and_sound(empty)


def test_a_folder_that_is_made_anew_by_another_process_has_one_writer(
    filled: Exercise,
) -> None:
    """The lock of the folder that was removed is not that of the new one."""
    folder = folder_of(filled)
    with started(filled.url, folder) as other:
        shutil.rmtree(folder)
        other.pass_once()
        made = generation(folder)
        run(filled.url, EDIT, (OTHER, 1))
        filled.pass_once()
        assert not filled.replica.keeper._has_lock()
        assert other.replica.keeper._has_lock()
        for exercise in (filled, other):
            assert exercise.check() is not None
        assert generation(folder) == made


def test_a_process_that_closes_within_a_slice_writes_alone_until_its_end(
    filled: Exercise,
) -> None:
    """As after a switch of the model, when another replica opens the folder."""
    keeper = filled.replica.keeper
    look, arrived, may_go_on = (
        keeper._filling._look,
        threading.Event(),
        threading.Event(),
    )

    def waiting(*args: object) -> object:
        arrived.set()
        may_go_on.wait()
        return look(*args)  # type: ignore[arg-type]

    keeper._filling._look = waiting  # type: ignore[assignment, method-assign]
    filled.replica.start()
    arrived.wait()
    keeper.close(timeout_s=0)
    with started(filled.url, folder_of(filled)) as other:
        assert not other.replica.keeper._has_lock()
        may_go_on.set()
        keeper._thread.join()
        assert other.replica.keeper._has_lock()
        other.pass_once()
        assert other.check() is not None


def test_a_process_that_starts_on_a_full_disk_answers_from_the_files(
    filled: Exercise,
) -> None:
    folder = folder_of(filled)
    filled.replica.close()
    run(filled.url, EDIT, (OTHER, 1))
    with started(filled.url, folder) as exercise:
        with (
            room_for(part_of(folder, "exact").stat().st_size),
            pytest.raises(OSError, match="File too large"),
        ):
            exercise.pass_once()
        assert exercise.rows_read() > 0
        exercise.pass_once()
        assert exercise.rows_read() == 0


def test_a_copy_without_void_rows_that_finds_no_room_leaves_all_as_it_was(
    filled: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Void rows cost time; a full disk harms all that share it."""
    folder = folder_of(filled)
    monkeypatch.setattr(filling_module, "FEWEST_DEAD", 10)
    run(filled.url, "UPDATE skill_job1 SET embedding = %s", (OTHER,))
    size = part_of(folder, "exact").stat().st_size
    fill, copy = (
        filled.replica.keeper._filling,
        filled.replica.keeper._filling.compacted,
    )

    def copying(manifest: ReplicaManifest) -> ReplicaManifest:
        """The changes fit, and the copy does not."""
        with room_for(size // 2):
            return copy(manifest)

    monkeypatch.setattr(fill, "compacted", copying)
    with pytest.raises(OSError, match="File too large"):
        filled.pass_once()
    monkeypatch.setattr(fill, "compacted", copy)
    assert len(list(folder.glob("*.exact"))) == 2
    is_current(filled)
    disk = SimpleNamespace(f_bavail=1, f_frsize=4096)
    with monkeypatch.context() as patch:
        patch.setattr(os, "statvfs", lambda _: disk)
        with pytest.raises(OSError, match="No space left"):
            filled.pass_once()
    is_current(filled)
    before = generation(folder)  # what the first one left is gone
    filled.pass_once()
    is_current(filled)
    assert generation(folder) != before
    assert part_of(folder, "exact").stat().st_size == size


def is_current(exercise: Exercise) -> None:
    found = exercise.check()
    assert found is not None
    assert found.volume.rows == 0


def test_tables_that_are_made_anew_again_and_again_leave_nothing_open(
    filled: Exercise,
) -> None:
    folder = folder_of(filled)
    counts = []
    for number in range(RECREATED):
        run(filled.url, "TRUNCATE skill_job1")
        add_jobs(filled.url, around(30, seed=number), range(30))
        filled.pass_once()
        assert filled.check() is not None
        counts.append(held(folder))
        assert len(list(folder.iterdir())) == len(FILE_PARTS) + 1
    assert counts == counts[:1] * RECREATED
    assert 0 < counts[0][0] <= len(FILE_PARTS)
