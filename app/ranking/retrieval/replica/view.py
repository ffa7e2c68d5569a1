"""The rows of a replica in one snapshot of the database, immutable."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.query.ids import Id, IdColumn
from app.ranking.retrieval.replica.files import (
    FILE_PARTS,
    ReplicaFiles,
    ReplicaManifest,
)
from app.ranking.retrieval.replica.records import COMPARABLE, MirroredRows
from app.ranking.top_k.codes import Codes
from app.ranking.top_k.distinct import distinct
from app.ranking.top_k.heads import Heads
from app.storage.changes import XidSnapshot

# Rows per step of a look-up of ids.
LOOKUP_ROWS = 1 << 16


@dataclass(frozen=True, eq=False)
class StoredRows:
    """The mapped rows of the files. `dead`: the sorted numbers of void rows."""

    ids: NDArray[Any]  # (n,)
    heads: NDArray[np.int8]  # (n, k)
    lengths: NDArray[Any]  # (n,) HEAD_SCALE
    basis: NDArray[np.float32]  # (k, dimension)
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
        return cls(**{**mapped, "dead": distinct(mapped["dead"])})

    @property
    def coded(self) -> Codes:
        return Codes(self.codes, self.scales)

    @property
    def headed(self) -> Heads:
        return Heads(self.heads, self.lengths)

    @cached_property
    def comparable(self) -> int:
        """The number of live rows whose embedding has a direction."""
        count = 0
        for start in range(0, len(self.ids), LOOKUP_ROWS):
            end = min(start + LOOKUP_ROWS, len(self.ids))
            count += int(np.count_nonzero(self.chosen(start, end, COMPARABLE)))
        return count

    def having(self, numbers: NDArray[np.intp], flag: int) -> NDArray[np.bool_]:
        """(n,): which rows with these numbers have the flag and live."""
        found: NDArray[np.bool_] = (self.entries["flags"][numbers] & flag) != 0
        if len(self.dead):
            place = np.searchsorted(self.dead, numbers)
            found &= self.dead[np.minimum(place, len(self.dead) - 1)] != numbers
        return found

    def chosen(self, start: int, end: int, flag: int) -> NDArray[np.bool_]:
        """(end - start,): which rows from `start` to `end` have the flag and live."""
        found: NDArray[np.bool_] = (self.entries["flags"][start:end] & flag) != 0
        first, last = np.searchsorted(self.dead, (start, end))
        found[self.dead[first:last] - start] = False
        return found

    def skill_ids(
        self, numbers: NDArray[np.signedinteger[Any]]
    ) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
        """The skill ids of the rows with these ascending numbers, and where those of
        each begin.
        """
        end_of = self.entries["end"]
        ends = end_of[numbers].astype(np.intp)
        firsts = np.where(numbers > 0, end_of[numbers - 1], 0).astype(np.intp)
        sizes = ends - firsts
        starts = np.cumsum(sizes) - sizes
        if len(numbers) == numbers[-1] + 1 - numbers[0]:
            return self.skills[firsts[0] : ends[-1]], starts
        places = np.arange(sizes.sum()) + np.repeat(firsts - starts, sizes)
        return self.skills[places], starts

    def rows(self, numbers: NDArray[np.signedinteger[Any]]) -> MirroredRows:
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

    def rows(self, ids: Sequence[int | bytes]) -> MirroredRows | None:
        """The rows with these ids, in the form of the stream; None without any."""
        numbers = self.stored.numbers_of(ids)
        parts = [self.stored.rows(numbers)] if len(numbers) else []
        if self.fresh is not None and ids:
            parts.append(self.fresh.only(ids))
        return MirroredRows.joined(parts)

    def matching(self, ids: NDArray[Any]) -> "ReplicaView | None":
        """Only the rows with these ids. None if two rows have one id, because the
        condition that selected the ids may hold for one of them.
        """
        numbers = self.stored.numbers_of(ids)
        fresh = None if self.fresh is None else self.fresh.only(ids)
        rows = self.stored.ids[numbers]
        if fresh is not None:
            rows = np.concatenate([rows, fresh.ids]) if len(rows) else fresh.ids
        if len(distinct(rows)) < len(rows):
            return None
        return replace(self, stored=self.stored.among(numbers), fresh=fresh)


def as_slice(numbers: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Ascending numbers as a slice where none is left out: nothing is copied."""
    start, end = int(numbers[0]), int(numbers[-1]) + 1
    return slice(start, end) if end - start == len(numbers) else numbers
