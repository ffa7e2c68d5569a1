"""The running top-k over a replica: candidates by codes, scores by exact vectors."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from app.ranking.retrieval.replica.records import COMPARABLE
from app.ranking.retrieval.replica.view import ReplicaView, StoredRows
from app.ranking.top_k.codes import CodedCosines
from app.ranking.top_k.cosine import RESCORE_ROWS, CosineTopK
from app.storage.copy.embeddings import EmbeddingChunk

# Rows compared at a time, for one query: their scores take 1 MB.
COMPARED_SCORES = 1 << 18
LEAST_COMPARED_ROWS = 1024
# The best of the first rows are the threshold for all others: without one, the best of
# each part have to be selected among its rows.
FIRST_ROWS = 1 << 14


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
        cosines = CodedCosines(self._cosines.queries)
        queries = len(self._cosines.queries)
        fitting = COMPARED_SCORES // queries // LEAST_COMPARED_ROWS
        step = LEAST_COMPARED_ROWS * max(1, fitting)
        total = len(stored.ids)
        first = min(step, FIRST_ROWS)
        for start in (0, *range(first, total, step)):
            if start:
                check()
            end = min(start + step if start else first, total)
            part = stored.coded[start:end]
            place, lowest, spread = cosines.reaching(part, self._best.floor)
            numbers = start + place
            here = stored.having(numbers, COMPARABLE)
            if here.any():
                self._rank(stored, numbers[here], lowest[:, here], spread[here])
        self.analyzed += stored.comparable

    def _rank(
        self,
        stored: StoredRows,
        numbers: NDArray[np.intp],
        lowest: NDArray[np.float32],
        spread: NDArray[np.float32],
    ) -> None:
        query, row = self._best.candidates(lowest, stored.ids[numbers], spread)
        for first in range(0, len(row), RESCORE_ROWS):
            part = slice(first, first + RESCORE_ROWS)
            some = numbers[row[part]]
            chosen = EmbeddingChunk(stored.ids[some], stored.exact[some])
            self.consider(query[part], chosen)
