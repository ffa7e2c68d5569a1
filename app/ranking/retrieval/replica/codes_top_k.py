"""The running top-k over a replica: candidates by codes, scores by exact vectors."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from app.ranking.retrieval.replica.records import COMPARABLE
from app.ranking.retrieval.replica.view import ReplicaView, StoredRows, as_slice
from app.ranking.top_k.codes import CodedCosines
from app.ranking.top_k.cosine import RESCORE_ROWS, CosineTopK
from app.ranking.top_k.heads import HeadCosines, Heads
from app.storage.copy.embeddings import EmbeddingChunk

# Rows compared at a time: so many for one query, fewer for more; then the threshold
# rises.
COMPARED_SCORES = 1 << 16
LEAST_COMPARED_ROWS = 8192
# The best of the first rows are the threshold for all others: without one, the best of
# each part have to be selected among its rows.
FIRST_ROWS = 1 << 14
# The heads of a part are compared if they refuse three quarters of its first rows:
# codes of single rows take longer to read than codes in a row.
SAMPLE_ROWS = 512
USEFUL_SHARE = 4
# Codes that are copied at a time, 3 MB.
GATHERED_ROWS = 8192


class CodesTopK(CosineTopK):
    """A running top-k whose candidates come from codes."""

    def take(self, view: ReplicaView, check: Callable[[], None]) -> None:
        """Process all rows; `check` is called before each part and may raise."""
        check()
        self.take_stored(view.stored, check)
        if view.fresh is not None:
            self.update(EmbeddingChunk(view.fresh.ids, view.fresh.embeddings))

    def take_stored(self, stored: StoredRows, check: Callable[[], None]) -> None:
        """Likewise, the rows of the files alone."""
        if not len(stored.ids):
            return
        cosines = CodedCosines(self._cosines.queries)
        heads = HeadCosines(self._cosines.queries, stored.basis)
        fitting = COMPARED_SCORES // len(self._cosines.queries) // LEAST_COMPARED_ROWS
        step = LEAST_COMPARED_ROWS * max(1, fitting)
        total = len(stored.ids)
        first = min(step, FIRST_ROWS)
        for start in (0, *range(first, total, step)):
            end = min(start + step if start else first, total)
            numbers = np.arange(start, end)
            # Without a threshold heads refuse no row.
            if start:
                check()
                numbers = start + self._promising(heads, stored.headed[start:end])
            numbers = numbers[stored.having(numbers, COMPARABLE)]
            for at in range(0, len(numbers), GATHERED_ROWS):
                self._rank(stored, numbers[at : at + GATHERED_ROWS], cosines)
        self.analyzed += stored.comparable

    def _promising(self, heads: HeadCosines, rows: Heads) -> NDArray[np.intp]:
        """The places of the rows that heads do not refuse; all, if most are these."""
        floor = self._best.floor
        sample = rows[:SAMPLE_ROWS]
        if len(heads.reaching(sample, floor)) * USEFUL_SHARE > len(sample):
            return np.arange(len(rows))
        return heads.reaching(rows, floor)

    def _rank(
        self, stored: StoredRows, numbers: NDArray[np.intp], cosines: CodedCosines
    ) -> None:
        lowest = np.empty((len(self._cosines.queries), len(numbers)), np.float32)
        spread = cosines.lowest(stored.coded[as_slice(numbers)], lowest)
        query, row = self._best.candidates(lowest, stored.ids[numbers], spread)
        for first in range(0, len(row), RESCORE_ROWS):
            part = slice(first, first + RESCORE_ROWS)
            some = numbers[row[part]]
            chosen = EmbeddingChunk(stored.ids[some], stored.exact[some])
            self.consider(query[part], chosen)
