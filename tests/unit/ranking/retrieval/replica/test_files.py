"""The files of a replica are sound, or known not to be, whatever happens to a byte."""

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.ranking.retrieval.replica.files import (
    FILE_PARTS,
    REPLICA_FORMAT,
    IdTooWideError,
    ReplicaFiles,
    ReplicaManifest,
)
from app.ranking.retrieval.replica.records import MirroredRows
from app.ranking.retrieval.replica.view import StoredRows
from tests.support.mirrored import mirrored

FIRST = ReplicaManifest(
    "table", "model", "integer", 8, "10:10:", "10:10:", generation=5
)


def rows(count: int, *, first_id: int = 0) -> MirroredRows:
    """Lists of one to three skill ids."""
    vectors = np.random.default_rng(first_id).standard_normal((count, 384), np.float32)
    ids = np.arange(first_id, first_id + count)
    return mirrored(ids, vectors, lists=[[id_] * (1 + id_ % 3) for id_ in ids.tolist()])


def add(
    files: ReplicaFiles, manifest: ReplicaManifest, some: MirroredRows, *dead: int
) -> ReplicaManifest:
    with files.appending(manifest) as appender:
        appender.add(some)
        appender.kill(np.array(dead, np.int32))
        return appender.synced()


@pytest.fixture
def files(tmp_path: Path) -> ReplicaFiles:
    """Two commits: 40 rows, then 25 more and three dead ones."""
    files = ReplicaFiles(tmp_path / "replica")
    files.folder.mkdir()
    manifest = add(files, FIRST, rows(40))
    files.commit(manifest)
    files.commit(add(files, manifest, rows(25, first_id=100), 3, 7, 41))
    return files


def committed(files: ReplicaFiles) -> ReplicaManifest:
    manifest = files.manifest()
    assert manifest is not None
    return manifest


def live(files: ReplicaFiles) -> tuple[list[int], NDArray[np.float32]]:
    stored = StoredRows.of(files, committed(files))
    kept = np.setdiff1d(np.arange(len(stored.ids)), stored.dead)
    skill_ids, _ = stored.skill_ids(kept)
    ids: list[int] = stored.ids[kept].tolist()
    assert skill_ids.tolist() == [id_ for id_ in ids for _ in range(1 + id_ % 3)]
    return ids, stored.exact[kept]


def test_rows_come_back_as_they_were_without_the_dead(files: ReplicaFiles) -> None:
    ids, exact = live(files)
    expected = [*range(40), *range(100, 125)]
    vectors = np.concatenate([rows(40).embeddings, rows(25, first_id=100).embeddings])
    kept = [n for n in range(65) if n not in {3, 7, 41}]
    assert ids == [expected[n] for n in kept]
    assert exact.tobytes() == vectors[kept].tobytes()
    assert files.is_sound(committed(files))


def test_rows_that_were_added_and_not_committed_do_not_count(
    files: ReplicaFiles,
) -> None:
    before = live(files)
    manifest = committed(files)
    add(files, manifest, rows(30, first_id=900), 0, 1)
    assert files.is_sound(committed(files))
    assert live(files)[0] == before[0]
    # And are written over by the next.
    files.commit(add(files, manifest, rows(2, first_id=500), 5))
    assert files.is_sound(committed(files))
    assert live(files)[0] == [id_ for id_ in before[0] if id_ != 5] + [500, 501]


def test_what_is_known_to_be_sound_is_not_read_again(files: ReplicaFiles) -> None:
    manifest = committed(files)
    flip(files.path("exact", 5), 0)
    assert not files.is_sound(manifest)
    assert files.is_sound(manifest, known=manifest)
    assert not files.is_sound(manifest, known=replace(manifest, generation=4))
    later = add(files, manifest, rows(3, first_id=700))
    assert files.is_sound(later, known=manifest)
    flip(files.path("exact", 5), manifest.size("exact"))
    assert not files.is_sound(later, known=manifest)


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << (place % 8)
    path.write_bytes(data)


def cut(path: Path, place: int) -> None:
    path.write_bytes(path.read_bytes()[:place])


def is_trusted(files: ReplicaFiles) -> bool:
    manifest = files.manifest()
    return manifest is not None and files.is_sound(manifest)


@pytest.mark.parametrize("damage", [flip, cut])
@pytest.mark.parametrize("part", [*FILE_PARTS, "manifest"])
def test_a_byte_that_is_wrong_or_missing_anywhere_is_recognized(
    files: ReplicaFiles, tmp_path: Path, part: str, damage: Callable[[Path, int], None]
) -> None:
    random.seed(part)
    for number in range(60):
        copy = ReplicaFiles(tmp_path / str(number))
        shutil.copytree(files.folder, copy.folder)
        path = (
            copy.folder / "manifest.json" if part == "manifest" else copy.path(part, 5)
        )
        damage(path, random.randrange(path.stat().st_size))
        assert not is_trusted(copy)


def test_a_crash_at_any_write_leaves_the_rows_before_or_after_it(
    files: ReplicaFiles, tmp_path: Path
) -> None:
    """The parts of what is added may reach the disk in any order, or half."""
    before = live(files)[0]
    manifest = committed(files)
    add(files, manifest, rows(30, first_id=900), 0, 1)
    random.seed(1)
    for number in range(60):
        copy = ReplicaFiles(tmp_path / str(number))
        shutil.copytree(files.folder, copy.folder)
        for part in FILE_PARTS:
            path, size = copy.path(part, 5), manifest.size(part)
            cut(path, random.randint(size, path.stat().st_size))
        assert is_trusted(copy)
        assert live(copy)[0] == before


def test_a_draft_of_a_manifest_does_not_count(files: ReplicaFiles) -> None:
    before = committed(files)
    (files.folder / "manifest.tmp").write_text('{"identity": "of anoth')
    assert committed(files) == before
    files.remove_others(before)
    assert sorted(path.name for path in files.folder.iterdir()) == sorted(
        ["manifest.json", *(f"5.{part}" for part in FILE_PARTS)]
    )


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", "7", '{"checksum": 1}', '"text"', "\x00"]
)
def test_what_is_no_manifest_is_none(files: ReplicaFiles, text: str) -> None:
    (files.folder / "manifest.json").write_text(text)
    assert files.manifest() is None


def test_a_manifest_of_another_format_is_none(files: ReplicaFiles) -> None:
    files.commit(replace(committed(files), format=REPLICA_FORMAT + 1))
    assert files.manifest() is None


def test_ids_that_do_not_fit_are_refused(files: ReplicaFiles) -> None:
    manifest = replace(FIRST, kind="text", id_width=4, generation=6)
    with files.appending(manifest) as appender:
        for ids, fits in ((np.array([b"abcd"]), True), (np.array([b"abcde"]), False)):
            some = mirrored(ids, rows(1).embeddings)
            if fits:
                appender.add(some)
            else:
                with pytest.raises(IdTooWideError):
                    appender.add(some)
    assert appender.manifest.rows == 1


def test_removing_everything_begins_with_the_manifest(files: ReplicaFiles) -> None:
    (files.folder / "theirs.txt").write_text("not ours")
    files.remove_others(None)
    assert [path.name for path in files.folder.iterdir()] == ["theirs.txt"]
