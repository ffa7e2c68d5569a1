"""The best N of a stream for each of several queries, by cosine similarity.

BLAS scores every row in float32; its last digits depend on the shape of the batch
and on the row's place in it. So these scores only choose candidates, with a margin
above the rounding error, and each candidate is scored again in float64. The result
does not depend on how the stream was cut, nor on which queries share the pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.scan.records import Batch

# Published digits. Equal published scores are ordered by id.
DECIMALS = 6

# A float32 dot product of 384 terms errs by at most 384 * 2**-24 = 2.3e-5 for unit
# vectors (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1); half
# a unit of the last published digit comes on top.
MARGIN = 3e-5

# Below this squared norm float32 loses digits to underflow; such a vector, the zero
# vector among them, points nowhere.
LEAST_SQUARED_NORM = 1e-30

# Candidates that are scored again at once: 512 x 384 float64 are 1.5 MB.
RESCORE_ROWS = 512


@dataclass(frozen=True)
class Scored:
    """One ranked row: its id as the stream holds it, its cosine similarity."""

    id: Any
    score: float


class TopN:
    """A running top-N per query. Feed it batches, then ask for the results."""

    def __init__(self, queries: NDArray[np.float32], sizes: Sequence[int]) -> None:
        """`queries`: (q, 384) float32, any length but zero; `sizes`: N of each."""
        exact = queries.astype(np.float64)
        exact /= np.linalg.norm(exact, axis=1, keepdims=True)
        self._exact = exact  # (q, 384) float64, unit length
        self._queries = exact.astype(np.float32)
        self._sizes = np.asarray(sizes)
        # What a row must reach in float32 to be looked at: (q, 1).
        self._floor = np.full((len(queries), 1), -np.inf, dtype=np.float32)
        # The best so far, of all queries, sorted by (query, -score, id).
        self._query = np.empty(0, dtype=np.int64)
        self._ids: NDArray[Any] | None = None
        self._scores = np.empty(0, dtype=np.float64)
        self.analyzed = 0
        self.unusable = 0

    def update(self, batch: Batch) -> None:
        """Take one batch into account. Rows whose norm in float32 is NaN,
        infinite or below 1e-15 cannot be compared: they are counted as unusable.
        """
        scores = self._approximate(batch.embeddings)
        query, row = np.nonzero(scores >= self._raised_floor(scores))
        for start in range(0, len(row), RESCORE_ROWS):
            part = slice(start, start + RESCORE_ROWS)
            self._keep(batch, query[part], row[part])

    def result(self, query: int) -> list[Scored]:
        """The best rows of one query: highest score first, equal ones by id."""
        mine = np.flatnonzero(self._query == query)
        if self._ids is None:
            return []
        return [
            Scored(id_, score)
            for id_, score in zip(
                self._ids[mine].tolist(), self._scores[mine].tolist(), strict=True
            )
        ]

    def _approximate(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine similarities, (q, n) float32; NaN for rows that are unusable."""
        with np.errstate(all="ignore"):
            squared = np.einsum("ij,ij->i", embeddings, embeddings)
            usable = np.isfinite(squared) & (squared >= LEAST_SQUARED_NORM)
            scores = self._queries @ embeddings.T
            scores *= np.where(usable, 1 / np.sqrt(squared), np.float32(np.nan))
        count = int(usable.sum())
        self.analyzed += count
        self.unusable += len(usable) - count
        return scores

    def _raised_floor(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """The floor, at least as high as this batch's own N-th best score.

        Without it the first batch, which meets no floor yet, would have every row
        scored again.
        """
        deepest = int(self._sizes.max())
        rows = scores.shape[1]
        if rows <= deepest or np.isfinite(self._floor).all():
            return self._floor
        comparable = np.where(np.isnan(scores), np.float32(-np.inf), scores)
        nth = np.partition(comparable, rows - deepest, axis=1)[:, rows - deepest]
        return np.maximum(self._floor, nth[:, None] - np.float32(MARGIN))

    def _keep(
        self, batch: Batch, query: NDArray[np.int64], row: NDArray[np.int64]
    ) -> None:
        exact = self._rescore(batch.embeddings[row], query)
        ids = batch.ids[row]
        self._query = np.concatenate([self._query, query])
        self._scores = np.concatenate([self._scores, exact])
        self._ids = ids if self._ids is None else np.concatenate([self._ids, ids])
        self._cut()

    def _rescore(
        self, embeddings: NDArray[np.float32], query: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        rows = embeddings.astype(np.float64)
        dots = np.einsum("ij,ij->i", rows, self._exact[query])
        norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        scores: NDArray[np.float64] = np.round(dots / norms, DECIMALS)
        return scores

    def _cut(self) -> None:
        """Sort, drop what is beyond N of its query, and raise the floor."""
        assert self._ids is not None  # noqa: S101  (set just before)
        order = np.lexsort((self._ids, -self._scores, self._query))
        query = self._query[order]
        first = np.searchsorted(query, np.arange(len(self._sizes)))
        rank = np.arange(len(query)) - first[query]
        order = order[rank < self._sizes[query]]
        self._query = self._query[order]
        self._scores = self._scores[order]
        self._ids = self._ids[order]
        self._raise_floor()

    def _raise_floor(self) -> None:
        ends = np.searchsorted(self._query, np.arange(len(self._sizes)), side="right")
        starts = np.searchsorted(self._query, np.arange(len(self._sizes)))
        full = ends - starts >= self._sizes
        self._floor[full, 0] = self._scores[ends[full] - 1] - MARGIN
