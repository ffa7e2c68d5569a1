"""The records of a replica's files, and rows on their way there."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.query.ids import IdColumn, Kind
from app.ranking.skills.skill_scores import rows_at
from app.ranking.top_k.heads import head_width
from app.storage.changes import HAS_EMBEDDING, HAS_SKILLS, KNOWS_SKILLS
from app.storage.codec import points_somewhere, squared_norms
from app.storage.copy.embeddings import CopyReader
from app.storage.copy.skill_ids import EntryChunk, entry_reader
from app.storage.skills import SkilledRow

DEAD_ROW = np.dtype("<i4")
SKILL_ID = np.dtype("<i4")
# `end`: where the row's skill ids end in their file; they begin where those of the row
# before end. `flags`: those of `storage.changes`, and COMPARABLE.
ENTRY_ROW = np.dtype([("end", "<u4"), ("flags", "<u4")])
# The embedding has a direction.
COMPARABLE = 8

# For longer ids a fixed width would waste space.
WIDEST_ID = 64


def exact_dtype(dimension: int) -> np.dtype[Any]:
    return np.dtype(("<f4", (dimension,)))


def codes_dtype(dimension: int) -> np.dtype[Any]:
    return np.dtype(("i1", (dimension,)))


def heads_dtype(dimension: int) -> np.dtype[Any]:
    return np.dtype(("i1", (head_width(dimension),)))


def id_dtype(kind: Kind, width: int) -> np.dtype[Any]:
    """Of a file of ids, `width` bytes each; those of integers and uuids are given."""
    return np.dtype("<i8" if kind == "integer" else f"S{width}")


@dataclass(frozen=True, eq=False)
class MirroredRows:
    """Rows of jobs in memory.

    `ids`: (n,) as in `EmbeddingChunk`. `embeddings`: (n, dimension) float32, zeros
    where there is none. `flags`: (n,) as in ENTRY_ROW. `skill_ids` and `starts` as in
    `SkillIdChunk`; NO_SKILL for a row without.
    """

    ids: NDArray[Any]
    embeddings: NDArray[np.float32]
    flags: NDArray[np.uint32]
    skill_ids: NDArray[np.int32]
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, chunk: EntryChunk) -> "MirroredRows":
        """The rows of a stream of `storage.changes`, with the flags before the ids."""
        flags = chunk.skill_ids[chunk.starts].astype(np.uint32)
        usable = points_somewhere(squared_norms(chunk.embeddings))
        flags[usable] |= COMPARABLE
        skill_ids = np.delete(chunk.skill_ids, chunk.starts)
        starts = chunk.starts - np.arange(len(flags))
        return cls(chunk.ids, chunk.embeddings, flags, skill_ids, starts)

    @classmethod
    def joined(cls, parts: Sequence["MirroredRows"]) -> "MirroredRows | None":
        """All rows of these; None without any."""
        parts = [part for part in parts if len(part.ids)]
        if not parts:
            return None
        before = np.cumsum([0, *(len(part.skill_ids) for part in parts[:-1])])
        return cls(
            np.concatenate([part.ids for part in parts]),
            np.concatenate([part.embeddings for part in parts]),
            np.concatenate([part.flags for part in parts]),
            np.concatenate([part.skill_ids for part in parts]),
            np.concatenate(
                [part.starts + first for part, first in zip(parts, before, strict=True)]
            ),
        )

    def only(self, ids: Sequence[int | bytes] | NDArray[Any]) -> "MirroredRows":
        """The rows with these ids. A column's own equality may have given others."""
        return self._at(np.flatnonzero(np.isin(self.ids, np.asarray(ids))))

    def without(self, ids: Sequence[int | bytes]) -> "MirroredRows":
        """The other rows."""
        return self._at(np.flatnonzero(~np.isin(self.ids, np.asarray(ids))))

    def having(self, flag: int) -> "MirroredRows":
        """The rows with this flag."""
        return self._at(np.flatnonzero(self.flags & flag))

    def described(self, column: IdColumn) -> Iterator[SkilledRow]:
        """The rows without their texts, as `storage.skills.skilled_rows` reads them."""
        lists = np.split(self.skill_ids, self.starts[1:])
        for id_, flags, skill_ids, embedding in zip(
            self.ids.tolist(), self.flags.tolist(), lists, self.embeddings, strict=True
        ):
            known = skill_ids if flags & HAS_SKILLS else skill_ids[:0]
            yield SkilledRow(
                column.from_stream(id_),
                None,
                known if flags & KNOWS_SKILLS else None,
                embedding if flags & HAS_EMBEDDING else None,
            )

    def _at(self, rows: NDArray[np.intp]) -> "MirroredRows":
        skill_ids, starts = rows_at(self.skill_ids, self.starts, rows)
        return MirroredRows(
            self.ids[rows], self.embeddings[rows], self.flags[rows], skill_ids, starts
        )


def mirror_reader(
    kind: Kind, consume: Callable[[MirroredRows], None]
) -> CopyReader[Any]:
    """A decoder of the rows that `storage.changes` streams."""
    return entry_reader(kind, lambda chunk: consume(MirroredRows.of(chunk)))
