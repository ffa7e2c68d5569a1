"""The rows of a replica in one snapshot of the database, immutable."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.query.ids import Id, IdColumn
from app.ranking.retrieval.replica.files import ReplicaFiles, ReplicaManifest
from app.ranking.retrieval.replica.records import usable
from app.storage.changes import XidSnapshot
from app.storage.copy.embeddings import EmbeddingChunk

# Rows per step of a look-up of ids.
LOOKUP_ROWS = 1 << 16


@dataclass(frozen=True, eq=False)
class StoredRows:
    """The mapped rows of the files. `dead`: the sorted numbers of dead rows."""

    ids: NDArray[Any]  # (n,)
    codes: NDArray[Any]  # (n,) coded_dtype
    exact: NDArray[np.float32]  # (n, dimension)
    dead: NDArray[np.int32]

    @classmethod
    def of(cls, files: ReplicaFiles, manifest: ReplicaManifest) -> "StoredRows":
        """Raises FileNotFoundError where a writer has replaced the files just now."""
        ids, codes, exact, dead = (
            files.mapped(manifest, part) for part in ("ids", "codes", "exact", "dead")
        )
        return cls(ids, codes, exact, np.unique(dead))

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
    """Stored rows, and the rows that changed since, which are few.

    Whoever looks for what `since` did not see, in a snapshot that sees all that
    `newest` saw, and takes these changes over, has the rows of its own snapshot.
    """

    manifest: ReplicaManifest
    stored: StoredRows
    since: XidSnapshot
    newest: XidSnapshot
    # Whose rows are not the stored ones, and their rows now: some have none.
    changed: frozenset[int | bytes] = frozenset()
    fresh: EmbeddingChunk | None = None

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
    def rows(self) -> int:
        """The number of rows that a search compares."""
        fresh = 0 if self.fresh is None else len(self.fresh.ids)
        return len(self.stored.ids) - len(self.stored.dead) + fresh

    def with_changes(
        self,
        ids: Sequence[Id],
        rows: Sequence[EmbeddingChunk],
        *,
        column: IdColumn,
        snapshot: XidSnapshot,
    ) -> "ReplicaView":
        """As `snapshot` sees it, which found that these ids changed, and their rows."""
        if not ids:
            return replace(self, since=snapshot, newest=snapshot)
        changed = [column.to_stream(id_) for id_ in ids]
        chunks = [only(chunk, changed) for chunk in rows]
        if self.fresh is not None:
            chunks.append(_others(self.fresh, changed))
        return replace(
            self,
            stored=self.stored.without(changed),
            since=snapshot,
            newest=snapshot,
            changed=self.changed | set(changed),
            fresh=_joined([chunk for chunk in chunks if len(chunk.ids)]),
        )

    def matching(self, ids: NDArray[Any]) -> "ReplicaView | None":
        """With the rows of these ids only. None where two of them have one id: the
        condition that gave the ids may hold for one of them.
        """
        numbers = self.stored.numbers_of(ids)
        fresh = None if self.fresh is None else only(self.fresh, ids)
        rows = self.stored.ids[numbers]
        if fresh is not None:
            rows = np.concatenate([rows, fresh.ids]) if len(rows) else fresh.ids
        if len(np.unique(rows)) < len(rows):
            return None
        return replace(self, stored=self.stored.among(numbers), fresh=fresh)


def only(
    chunk: EmbeddingChunk, ids: Sequence[int | bytes] | NDArray[Any]
) -> EmbeddingChunk:
    """The rows of these ids that can be compared, copied. A column's own equality may
    have given others as well.
    """
    asked_for = np.isin(chunk.ids, np.asarray(ids))
    return usable(EmbeddingChunk(chunk.ids[asked_for], chunk.embeddings[asked_for]))


def _others(chunk: EmbeddingChunk, ids: Sequence[int | bytes]) -> EmbeddingChunk:
    kept = ~np.isin(chunk.ids, np.array(ids))
    return EmbeddingChunk(chunk.ids[kept], chunk.embeddings[kept])


def _joined(chunks: Sequence[EmbeddingChunk]) -> EmbeddingChunk | None:
    if not chunks:
        return None
    return EmbeddingChunk(
        np.concatenate([chunk.ids for chunk in chunks]),
        np.concatenate([chunk.embeddings for chunk in chunks]),
    )
