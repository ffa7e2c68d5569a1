"""A replica's rows in chunks, for the rankings that compare skill ids."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.query.ids import Id, IdColumn
from app.query.result import Volume
from app.ranking.retrieval.replica.records import MirroredRows
from app.ranking.retrieval.replica.view import ReplicaView, StoredRows, as_slice
from app.ranking.top_k.codes import CodedEntryChunk, coded
from app.storage.changes import HAS_SKILLS, IS_ALONE
from app.storage.copy.skill_ids import EntryChunk
from app.storage.entity import without_doubled
from app.storage.skills import SkilledRow

# Rows per chunk, as in a scan: 64 queries count 2,000 words in 8 MB. And rows of which
# those to compare are found at a time.
ENTRY_CHUNK_ROWS = 512
SELECTED_ROWS = 1 << 16


@dataclass(frozen=True, eq=False)
class ReplicaEntries:
    """The rows as of one snapshot, and the bytes that were read for them.

    `view`: of the rows that match. `everything`: of all jobs. `check` is called before
    each chunk and may raise.
    """

    view: ReplicaView
    everything: ReplicaView
    column: IdColumn
    volume: Volume
    check: Callable[[], None]

    def feed(
        self, consume: Callable[[EntryChunk], None], *, has_embeddings: bool
    ) -> None:
        """Pass all rows that a ranking compares: those with skill ids, or else those
        with skill ids or an embedding.
        """
        # As the statements `stream_skill_ids` and `stream_job_entries` choose them.
        flag = IS_ALONE if has_embeddings else HAS_SKILLS
        for chunk in self._chunks(flag):
            self.check()
            consume(chunk)

    def rows(self, ids: Sequence[Id]) -> dict[Id, SkilledRow]:
        """As `Entries.rows`."""
        found = self.everything.rows([self.column.to_stream(id_) for id_ in ids])
        rows = list(found.described(self.column)) if found else []
        return without_doubled({row.id: row for row in rows}, (row.id for row in rows))

    def _chunks(self, flag: int) -> Iterator[EntryChunk]:
        stored = self.view.stored
        for start in range(0, len(stored.ids), SELECTED_ROWS):
            end = min(start + SELECTED_ROWS, len(stored.ids))
            numbers = np.flatnonzero(stored.chosen(start, end, flag)) + start
            for first in range(0, len(numbers), ENTRY_CHUNK_ROWS):
                yield _stored(stored, numbers[first : first + ENTRY_CHUNK_ROWS])
        if self.view.fresh is not None:
            fresh = self.view.fresh.having(flag)
            if len(fresh.ids):
                yield _fresh(fresh)


def _stored(stored: StoredRows, numbers: NDArray[np.intp]) -> EntryChunk:
    some = as_slice(numbers)
    return CodedEntryChunk(
        stored.ids[some],
        *stored.skill_ids(numbers),
        stored.exact,
        codes=stored.coded[some],
        numbers=numbers,
    )


def _fresh(rows: MirroredRows) -> EntryChunk:
    return CodedEntryChunk(
        rows.ids,
        rows.skill_ids,
        rows.starts,
        rows.embeddings,
        codes=coded(rows.embeddings),
        numbers=np.arange(len(rows.ids)),
    )
