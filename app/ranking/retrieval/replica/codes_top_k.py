"""The running top-k over a replica: candidates by codes, scores by exact vectors."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.ranking.retrieval.replica.view import ReplicaView, StoredRows
from app.ranking.top_k.cosine import RESCORE_ROWS, CosineTopK
from app.storage.copy.embeddings import EmbeddingChunk

# Codes are widened to float32 so many rows at a time, 1.5 MB, which a processor's own
# cache holds; and so many scores are compared at a time, 1 MB.
WIDENED_ROWS = 1024
COMPARED_SCORES = 1 << 18


class CodesTopK(CosineTopK):
    """A running top-k whose candidates come from codes.

    A row's score is within its code's error of what its code says, and within the
    margin of that in float32, though the codes are up to 1.08 long.
    """

    def take(self, view: ReplicaView, check: Callable[[], None]) -> None:
        """Process all rows; `check` is called before each part and may raise."""
        check()
        self._take_stored(view.stored, check)
        if view.fresh is not None:
            self.update(view.fresh)
        self.analyzed = view.rows

    def _take_stored(self, stored: StoredRows, check: Callable[[], None]) -> None:
        queries = len(self._cosines.queries)
        fitting = COMPARED_SCORES // queries // WIDENED_ROWS
        step = WIDENED_ROWS * max(1, fitting)
        wide = np.empty((WIDENED_ROWS, self._cosines.queries.shape[1]), np.float32)
        scores = np.empty((queries, min(step, len(stored.ids))), np.float32)
        for start in range(0, len(stored.ids), step):
            if start:
                check()
            end = min(start + step, len(stored.ids))
            found = scores[:, : end - start]
            spread = self._score(stored.codes[start:end], wide, found)
            first, last = np.searchsorted(stored.dead, (start, end))
            found[:, stored.dead[first:last] - start] = np.nan
            self._rank(stored, start, found, spread)

    def _score(
        self,
        rows: NDArray[Any],  # (n,) coded_dtype
        wide: NDArray[np.float32],
        found: NDArray[np.float32],  # (q, n), for the minimum score of each
    ) -> NDArray[np.float32]:
        """(n,): the difference between the maximum and minimum score of each row."""
        for start in range(0, len(rows), WIDENED_ROWS):
            part = rows[start : start + WIDENED_ROWS]
            widened = wide[: len(part)]
            widened[:] = part["codes"]
            place = found[:, start : start + len(part)]
            np.matmul(self._cosines.queries, widened.T, out=place)
            place *= part["scale"]
            place -= part["error"]
        spread: NDArray[np.float32] = 2 * rows["error"]
        return spread

    def _rank(
        self,
        stored: StoredRows,
        start: int,
        found: NDArray[np.float32],
        spread: NDArray[np.float32],
    ) -> None:
        ids = stored.ids[start : start + len(spread)]
        query, row = self._best.candidates(found, ids, spread)
        for first in range(0, len(row), RESCORE_ROWS):
            part = slice(first, first + RESCORE_ROWS)
            numbers = start + row[part]
            chosen = EmbeddingChunk(stored.ids[numbers], stored.exact[numbers])
            self.consider(query[part], chosen)
