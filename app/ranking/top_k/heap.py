"""The top-k of several queries over a stream, for any score.

A scan computes approximate scores of all rows. Rows within a margin of the threshold
are rescored exactly, and only exact scores are kept and compared. So the result depends
neither on the chunks of the stream nor on the other queries of the batch.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.ranking.top_k.bounds import Bounds, BoundsOfAll, Scored
from app.ranking.top_k.factors import RowFactors, boosted

__all__ = ["DECIMALS", "Scored", "TopK"]

# Decimals of scores in responses. Equal rounded scores are ordered by a tie breaker, if
# there is one, then by id.
DECIMALS = 6
# The least published score that is more than nothing.
LEAST_SCORE = 10.0**-DECIMALS


class TopK:
    """Keeps the best rows of each query.

    `margin`: the maximum error of an approximate score, plus half a unit of the last
    decimal. `bounds`: one for each query, or none. `factors`: of the scores.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        margin: float,
        bounds: Sequence[Bounds] = (),
        factors: RowFactors | None = None,
    ) -> None:
        self._sizes = np.asarray(sizes)
        self._factors = factors
        # An error is multiplied like a score.
        margin *= 1.0 if factors is None else factors.greatest
        self._margin = np.float32(margin)
        self._bounds = BoundsOfAll(bounds or [Bounds()] * len(sizes), margin=margin)
        # The threshold for approximate scores: (q, 1) float32.
        self._floor = self._bounds.floor
        # Queries that already have k rows.
        self._full = np.zeros(len(sizes), dtype=bool)
        # The best rows so far of all queries, sorted by (query, -score, -second, id).
        self._query = np.empty(0, dtype=np.int64)
        self._ids: NDArray[Any] | None = None
        self._scores = np.empty(0, dtype=np.float64)
        self._seconds = np.empty(0, dtype=np.float64)

    @property
    def floor(self) -> NDArray[np.float32]:
        """(q, 1): rows of lower approximate scores before boosts need not be given."""
        greatest = np.float32(1 if self._factors is None else self._factors.greatest)
        return np.where(self._floor > 0, self._floor / greatest, self._floor)

    def candidates(
        self,
        scores: NDArray[np.float32],  # (q, n) approximate, NaN for excluded rows
        ids: NDArray[Any],  # (n,)
        spread: NDArray[np.float32] | None = None,  # (n,)
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(query, row) of the rows to rescore.

        `spread`: by how much more than its score a row may score. Overwrites `scores`.
        """
        if self._factors is not None:
            spread = self._boost(self._factors, scores, ids, spread)
        self._bounds.leave_out(scores, ids)
        most = scores if spread is None else scores + spread
        query, row = np.nonzero(most >= self._raised_floor(scores, most))
        return query, row

    def keep(
        self,
        query: NDArray[np.int64],
        ids: NDArray[Any],
        scores: NDArray[np.float64],
        seconds: NDArray[np.float64] | None = None,
    ) -> None:
        """Add rows: for each its query, its id and its exact scores before boosts."""
        if self._factors is not None:
            scores = boosted(scores, self._factors.of(ids)).astype(np.float64)
        scores = np.round(scores, DECIMALS)
        seconds = np.zeros_like(scores) if seconds is None else seconds
        seconds = np.round(seconds, DECIMALS)
        inside = self._bounds.admits(query, ids, scores, seconds)
        query, ids = query[inside], ids[inside]
        self._query = np.concatenate([self._query, query])
        self._scores = np.concatenate([self._scores, scores[inside]])
        self._seconds = np.concatenate([self._seconds, seconds[inside]])
        self._ids = ids if self._ids is None else np.concatenate([self._ids, ids])
        self._cut()

    def result(self, query: int) -> list[Scored]:
        """The best rows of one query: highest score first."""
        mine = np.flatnonzero(self._query == query)
        if self._ids is None:
            return []
        ids = self._ids[mine]
        own = None if self._factors is None else self._factors.of(ids).tolist()
        return [
            Scored(*each)
            for each in zip(
                ids.tolist(),
                self._scores[mine].tolist(),
                self._seconds[mine].tolist(),
                own or [None] * len(mine),
                strict=True,
            )
        ]

    def _boost(
        self,
        factors: RowFactors,
        scores: NDArray[np.float32],
        ids: NDArray[Any],
        spread: NDArray[np.float32] | None,
    ) -> NDArray[np.float32] | None:
        """Apply the factors to the scores, in place, and return the new spread."""
        own = factors.of(ids).astype(np.float32)
        most = None if spread is None else boosted(scores + spread, own)
        scores[:] = boosted(scores, own)
        return None if most is None else (most - scores).astype(np.float32)

    def _raised_floor(
        self, scores: NDArray[np.float32], most: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """The threshold, at least this chunk's own k-th best score.

        Otherwise every row of the first chunk would be rescored.
        """
        deepest = int(self._sizes.max())
        rows = scores.shape[1]
        if rows <= deepest or self._full.all():
            return self._floor
        comparable = self._bounds.without_doubtful(scores, most)
        nth = np.partition(comparable, rows - deepest, axis=1)[:, rows - deepest]
        # Twice the margin: the k-th may be worse than its approximate score, and
        # another row better.
        raised: NDArray[np.float32] = np.maximum(
            self._floor, nth[:, None] - 2 * self._margin
        )
        return raised

    def _cut(self) -> None:
        """Sort, drop rows beyond each query's k, and raise the thresholds."""
        assert self._ids is not None  # noqa: S101  (set just before)
        order = np.lexsort((self._ids, -self._seconds, -self._scores, self._query))
        query = self._query[order]
        first = np.searchsorted(query, np.arange(len(self._sizes)))
        rank = np.arange(len(query)) - first[query]
        order = order[rank < self._sizes[query]]
        self._query = self._query[order]
        self._scores = self._scores[order]
        self._seconds = self._seconds[order]
        self._ids = self._ids[order]
        self._raise_floor()

    def _raise_floor(self) -> None:
        ends = np.searchsorted(self._query, np.arange(len(self._sizes)), side="right")
        starts = np.searchsorted(self._query, np.arange(len(self._sizes)))
        full = ends - starts >= self._sizes
        self._full = full
        self._floor[full, 0] = self._scores[ends[full] - 1] - self._margin
