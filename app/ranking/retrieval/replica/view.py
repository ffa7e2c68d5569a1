"""The rows of a replica in one snapshot of the database, immutable."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.query.ids import Id, IdColumn
from app.ranking.retrieval.replica.files import (
    FILE_PARTS,
    ReplicaFiles,
    ReplicaManifest,
)
from app.ranking.retrieval.replica.records import MirroredRows
from app.ranking.skills.skill_scores import rows_at
from app.ranking.top_k.codes import Codes
from app.storage.changes import XidSnapshot

# Rows per step of a look-up of ids.
LOOKUP_ROWS = 1 << 16


@dataclass(frozen=True, eq=False)
class StoredRows:
    """The mapped rows of the files. `dead`: the sorted numbers of void rows."""

    ids: NDArray[Any]  # (n,)
    codes: NDArray[np.int8]  # (n, dimension)
    scales: NDArray[Any]  # (n,) CODE_SCALE
    exact: NDArray[np.float32]  # (n, dimension)
    entries: NDArray[Any]  # (n,) ENTRY_ROW
    skills: NDArray[np.int32]  # (m,)
    dead: NDArray[np.int32]

    @classmethod
    def of(cls, files: ReplicaFiles, manifest: ReplicaManifest) -> "StoredRows":
        """Raises FileNotFoundError where a writer has replaced the files just now."""
        mapped = {part: files.mapped(manifest, part) for part in FILE_PARTS}
        return cls(**{**mapped, "dead": np.unique(mapped["dead"])})

    @property
    def coded(self) -> Codes:
        return Codes(self.codes, self.scales)

    def chosen(self, start: int, end: int, flag: int) -> NDArray[np.bool_]:
        """(end - start,): which rows from `start` to `end` have the flag and live."""
        found: NDArray[np.bool_] = (self.entries["flags"][start:end] & flag) != 0
        first, last = np.searchsorted(self.dead, (start, end))
        found[self.dead[first:last] - start] = False
        return found

    def skill_ids(
        self, numbers: NDArray[np.intp]
    ) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
        """The skill ids of the rows with these ascending numbers, and where those of
        each begin.
        """
        start, end = int(numbers[0]), int(numbers[-1]) + 1
        first = int(self.entries["end"][start - 1]) if start else 0
        ends = self.entries["end"][start:end].astype(np.intp)
        skill_ids = self.skills[first : ends[-1]]
        starts = np.append(0, ends[:-1] - first)
        if len(numbers) == end - start:
            return skill_ids, starts
        return rows_at(skill_ids, starts, numbers - start)

    def rows(self, numbers: NDArray[np.intp]) -> MirroredRows:
        """The rows with these ascending numbers, at least one, copied."""
        return MirroredRows(
            self.ids[numbers],
            self.exact[numbers],
            self.entries["flags"][numbers],
            *self.skill_ids(numbers),
        )

    def without(self, ids: Sequence[int | bytes]) -> "StoredRows":
        """The rows without those with these ids, in the form of the stream."""
        gone = self.numbers_of(ids)
        return replace(self, dead=np.union1d(self.dead, gone)) if len(gone) else self

    def among(self, numbers: NDArray[np.int32]) -> "StoredRows":
        """Only the rows with these numbers."""
        others = np.ones(len(self.ids), bool)
        others[numbers] = False
        return replace(self, dead=np.flatnonzero(others).astype(np.int32))

    def numbers_of(
        self, ids: Sequence[int | bytes] | NDArray[Any]
    ) -> NDArray[np.int32]:
        """The numbers of the live rows with these ids."""
        if not len(ids) or not len(self.ids):
            return np.zeros(0, np.int32)
        wanted = np.asarray(ids)
        found = [
            start
            + np.flatnonzero(np.isin(self.ids[start : start + LOOKUP_ROWS], wanted))
            for start in range(0, len(self.ids), LOOKUP_ROWS)
        ]
        return np.setdiff1d(np.concatenate(found).astype(np.int32), self.dead)


@dataclass(frozen=True, eq=False)
class ReplicaView:
    """Stored rows, and the few rows that have changed since.

    A snapshot that sees everything that `newest` saw gets its own rows by adding the
    changes that `since` did not see.
    """

    manifest: ReplicaManifest
    stored: StoredRows
    since: XidSnapshot
    newest: XidSnapshot
    # The ids of changed rows, and those of their rows that still exist.
    changed: frozenset[int | bytes] = frozenset()
    fresh: MirroredRows | None = None

    @classmethod
    def of(cls, files: ReplicaFiles, manifest: ReplicaManifest) -> "ReplicaView":
        """Raises FileNotFoundError as `StoredRows.of`."""
        return cls(
            manifest,
            StoredRows.of(files, manifest),
            XidSnapshot(manifest.since),
            XidSnapshot(manifest.newest),
        )

    @property
    def jobs(self) -> int:
        """The number of jobs, comparable or not."""
        fresh = 0 if self.fresh is None else len(self.fresh.ids)
        return len(self.stored.ids) - len(self.stored.dead) + fresh

    def with_changes(
        self,
        ids: Sequence[Id],
        rows: Sequence[MirroredRows],
        *,
        column: IdColumn,
        snapshot: XidSnapshot,
    ) -> "ReplicaView":
        """The rows of `snapshot`, in which these ids have changed and have `rows`."""
        if not ids:
            return replace(self, since=snapshot, newest=snapshot)
        changed = [column.to_stream(id_) for id_ in ids]
        parts = [each.only(changed) for each in rows]
        if self.fresh is not None:
            parts.append(self.fresh.without(changed))
        return replace(
            self,
            stored=self.stored.without(changed),
            since=snapshot,
            newest=snapshot,
            changed=self.changed | set(changed),
            fresh=MirroredRows.joined(parts),
        )

    def matching(self, ids: NDArray[Any]) -> "ReplicaView | None":
        """Only the rows with these ids. None if two rows have one id, because the
        condition that selected the ids may hold for one of them.
        """
        numbers = self.stored.numbers_of(ids)
        fresh = None if self.fresh is None else self.fresh.only(ids)
        rows = self.stored.ids[numbers]
        if fresh is not None:
            rows = np.concatenate([rows, fresh.ids]) if len(rows) else fresh.ids
        if len(np.unique(rows)) < len(rows):
            return None
        return replace(self, stored=self.stored.among(numbers), fresh=fresh)
