"""The files of a replica: rows that are only added to, and a manifest of what counts.

`ids`, `heads`, `lengths`, `codes`, `scales`, `exact` and `entries` have one record per
row, `basis` the basis of the heads, `skills` the skill ids of all rows one after the
other, `dead` the numbers of rows that are void. The
manifest counts the valid records of each file, with checksums. It is written last, by
renaming: after a crash the manifest before is valid, and what lies beyond it is
overwritten. A new generation of files replaces all of them.
"""

import errno
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.query.ids import Kind
from app.ranking.mapped_files import (
    checksum_of_file,
    mapped,
    opened,
    read_header,
    write_at,
    write_header,
)
from app.ranking.retrieval.replica.records import (
    DEAD_ROW,
    ENTRY_ROW,
    SKILL_ID,
    MirroredRows,
    codes_dtype,
    exact_dtype,
    heads_dtype,
    id_dtype,
)
from app.ranking.top_k.codes import CODE_SCALE, coded
from app.ranking.top_k.heads import HEAD_SCALE, basis_of, head_width, headed

REPLICA_FORMAT = 6
FILE_PARTS = (
    "ids",
    "heads",
    "lengths",
    "basis",
    "codes",
    "scales",
    "exact",
    "entries",
    "skills",
    "dead",
)
RECORDS: Mapping[str, np.dtype[Any]] = {
    "lengths": HEAD_SCALE,
    "scales": CODE_SCALE,
    "entries": ENTRY_ROW,
    "skills": SKILL_ID,
    "dead": DEAD_ROW,
}


@dataclass(frozen=True)
class ReplicaManifest:
    """The contents of the files of one generation.

    `identity`: the table's, see `storage.changes`. Rows are those of the snapshot
    `since`, or later ones up to `newest`; with the changes that `since` did not see
    they are complete. `dimension`: of the vectors, 0 before the first. `after`: the
    last id of the first fill while it is not `complete`. `basis_rows`: of how many rows
    the basis was chosen. `checksums`: of the valid
    bytes of each part.
    """

    identity: str
    version: str
    kind: Kind
    id_width: int
    since: str
    newest: str
    dimension: int = 0
    generation: int = 0
    rows: int = 0
    skills: int = 0
    dead: int = 0
    basis_rows: int = 0
    after: int | str | None = None
    complete: bool = False
    checksums: Mapping[str, int] = field(
        default_factory=lambda: dict.fromkeys(FILE_PARTS, 0)
    )
    format: int = REPLICA_FORMAT

    def size(self, part: str) -> int:
        """The number of valid bytes of a part."""
        return self.count(part) * self.dtype(part).itemsize

    def count(self, part: str) -> int:
        own = {
            "dead": self.dead,
            "skills": self.skills,
            "basis": head_width(self.dimension),
        }
        return own.get(part, self.rows)

    def dtype(self, part: str) -> np.dtype[Any]:
        if part == "ids":
            return id_dtype(self.kind, self.id_width)
        if part in RECORDS:
            return RECORDS[part]
        own = {"heads": heads_dtype, "codes": codes_dtype}
        return own.get(part, exact_dtype)(self.dimension)


class ReplicaFiles:
    """The files in one folder. One process writes; others may read concurrently."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._manifest = folder / "manifest.json"

    def manifest(self) -> ReplicaManifest | None:
        """The last complete manifest; None without one."""
        found = read_header(self._manifest)
        if found is None or found.get("format") != REPLICA_FORMAT:
            return None
        return ReplicaManifest(**found)

    def commit(self, manifest: ReplicaManifest) -> None:
        """Make these rows valid. They must already be on the disk."""
        write_header(self._manifest, asdict(manifest))

    def stamp(self) -> int:
        """A value that changes with each commit."""
        return mtime_ns(self._manifest)

    def path(self, part: str, generation: int) -> Path:
        return self.folder / f"{generation}.{part}"

    def remove_others(self, manifest: ReplicaManifest | None) -> None:
        """Remove all files except those of this manifest, or all files."""
        kept = {self._manifest} if manifest else set()
        if manifest:
            kept |= {self.path(part, manifest.generation) for part in FILE_PARTS}
        else:
            # The manifest first: without it the other files are invalid.
            self._manifest.unlink(missing_ok=True)
        for path in self.folder.iterdir():
            if path not in kept and path.suffix.lstrip(".") in (*FILE_PARTS, "tmp"):
                path.unlink(missing_ok=True)

    def require_room(self, manifest: ReplicaManifest) -> None:
        """Raise OSError if the disk has no room for a copy of these files."""
        disk = os.statvfs(self.folder)
        if disk.f_bavail * disk.f_frsize < sum(map(manifest.size, FILE_PARTS)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def is_sound(
        self, manifest: ReplicaManifest, *, known: ReplicaManifest | None = None
    ) -> bool:
        """Whether the bytes match the checksums. Reads all, or those beyond the
        `known` valid ones.
        """
        try:
            return all(
                self._is_part_sound(part, manifest, known) for part in FILE_PARTS
            )
        except (FileNotFoundError, EOFError, KeyError):
            return False

    def _is_part_sound(
        self, part: str, manifest: ReplicaManifest, known: ReplicaManifest | None
    ) -> bool:
        start, checksum = 0, 0
        if known and known.generation == manifest.generation:
            start, checksum = known.size(part), known.checksums[part]
        path = self.path(part, manifest.generation)
        found = checksum_of_file(path, start, manifest.size(part), checksum)
        return found == manifest.checksums[part]

    def mapped(self, manifest: ReplicaManifest, part: str) -> NDArray[Any]:
        """The valid rows of a part, read-only and memory-mapped."""
        path = self.path(part, manifest.generation)
        dtype, count = manifest.dtype(part), manifest.count(part)
        return mapped(path, dtype, count, is_random=part == "exact")

    @contextmanager
    def appending(self, manifest: ReplicaManifest) -> Iterator["Appender"]:
        """Append rows beyond those of this manifest. Raises OSError."""
        paths = [self.path(part, manifest.generation) for part in FILE_PARTS]
        with opened(paths) as descriptors:
            for part, descriptor in zip(FILE_PARTS, descriptors, strict=True):
                # A file that was removed is opened as a new one, with a hole.
                if os.fstat(descriptor).st_size < manifest.size(part):
                    raise OSError(errno.ESTALE, "a file was removed or truncated")
            yield Appender(manifest, dict(zip(FILE_PARTS, descriptors, strict=True)))


class IdTooWideError(Exception):
    """An id is longer than the width of ids in this generation of files."""

    def __str__(self) -> str:
        return "an id is longer than those before"


class Appender:
    """Appends rows, which are invalid until their manifest is committed."""

    def __init__(
        self, manifest: ReplicaManifest, descriptors: Mapping[str, int]
    ) -> None:
        self.manifest = manifest
        self._descriptors = descriptors

    def add(self, rows: MirroredRows) -> None:
        """Append rows. Raises IdTooWideError, OSError."""
        if not len(rows.ids):
            return
        self.learn(rows.embeddings)
        ids = self.manifest.dtype("ids")
        if rows.ids.dtype.itemsize > ids.itemsize:
            raise IdTooWideError
        entries = np.zeros(len(rows.ids), ENTRY_ROW)
        ends = np.append(rows.starts[1:], len(rows.skill_ids))
        entries["end"] = ends[: len(entries)] + self.manifest.skills
        entries["flags"] = rows.flags
        codes = coded(rows.embeddings)
        heads = headed(rows.embeddings, self._read_basis())
        self._write(
            {
                "ids": rows.ids.astype(ids),
                "heads": heads.integers,
                "lengths": heads.scales,
                "codes": codes.integers,
                "scales": codes.scales,
                "exact": np.ascontiguousarray(rows.embeddings),
                "entries": entries,
                "skills": rows.skill_ids.astype(SKILL_ID),
            }
        )
        self.manifest = replace(
            self.manifest,
            rows=self.manifest.rows + len(entries),
            skills=self.manifest.skills + len(rows.skill_ids),
        )

    def learn(self, embeddings: NDArray[np.float32]) -> None:
        """Choose the basis of heads by these rows, if there is none yet."""
        if not self.manifest.dimension:
            self._write({"basis": basis_of(embeddings)})
            rows, dimension = embeddings.shape
            self.manifest = replace(self.manifest, dimension=dimension, basis_rows=rows)

    def _read_basis(self) -> NDArray[np.float32]:
        size = self.manifest.size("basis")
        data = os.pread(self._descriptors["basis"], size, 0)
        return np.frombuffer(data, "<f4").reshape(-1, self.manifest.dimension)

    def kill(self, numbers: NDArray[np.int32]) -> None:
        """Mark rows as dead."""
        dead = numbers.astype(DEAD_ROW)
        self._write({"dead": dead})
        self.manifest = replace(self.manifest, dead=self.manifest.dead + len(dead))

    def synced(self) -> ReplicaManifest:
        """Flush to the disk. Returns the manifest of all appended rows."""
        for descriptor in self._descriptors.values():
            os.fsync(descriptor)
        return self.manifest

    def _write(self, parts: Mapping[str, NDArray[Any]]) -> None:
        checksums = dict(self.manifest.checksums)
        for part, rows in parts.items():
            data = rows.tobytes()
            write_at(self._descriptors[part], data, self.manifest.size(part))
            checksums[part] = zlib.crc32(data, checksums[part])
        self.manifest = replace(self.manifest, checksums=checksums)


def mtime_ns(path: Path) -> int:
    """The modification time of a file; 0 without the file."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
