"""The best N so far for each of several queries, whatever scored the rows.

A scan scores every row approximately and fast; rows that come within a margin of the
N-th best are scored again exactly, and only exact scores are kept and compared here.
So the result depends neither on how the stream was cut nor on who shares the pass.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.ranking.top_k.bounds import Bounds, BoundsOfAll, Scored

__all__ = ["DECIMALS", "Scored", "TopK"]

# Published digits. Equal published scores are ordered by a second score if there is
# one, then by id.
DECIMALS = 6


class TopK:
    """Keeps the best rows. `margin` bounds how far an approximate score may be off
    the exact one, half a unit of the last published digit included. `bounds`: one for
    each size, or none at all.
    """

    def __init__(
        self, sizes: Sequence[int], *, margin: float, bounds: Sequence[Bounds] = ()
    ) -> None:
        self._sizes = np.asarray(sizes)
        self._margin = np.float32(margin)
        self._bounds = BoundsOfAll(bounds or [Bounds()] * len(sizes), margin=margin)
        # What a row must reach approximately to be looked at: (q, 1) float32.
        self._floor = self._bounds.floor
        # Queries that have as many rows as they want: only better ones will do.
        self._full = np.zeros(len(sizes), dtype=bool)
        # The best so far, of all queries, sorted by (query, -score, -second, id).
        self._query = np.empty(0, dtype=np.int64)
        self._ids: NDArray[Any] | None = None
        self._scores = np.empty(0, dtype=np.float64)
        self._seconds = np.empty(0, dtype=np.float64)

    def candidates(
        self,
        scores: NDArray[np.float32],  # (q, n) approximate, NaN for rows to leave out
        ids: NDArray[Any],  # (n,)
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(query, row) of what may belong to the best. Changes the scores: they are
        NaN, too, where a bound leaves a row out.
        """
        self._bounds.leave_out(scores, ids)
        query, row = np.nonzero(scores >= self._raised_floor(scores))
        return query, row

    def keep(
        self,
        query: NDArray[np.int64],
        ids: NDArray[Any],
        scores: NDArray[np.float64],
        seconds: NDArray[np.float64] | None = None,
    ) -> None:
        """Take rows into account: for each its query, its id and its exact scores."""
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
        return [
            Scored(id_, score, second)
            for id_, score, second in zip(
                self._ids[mine].tolist(),
                self._scores[mine].tolist(),
                self._seconds[mine].tolist(),
                strict=True,
            )
        ]

    def _raised_floor(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """The floor, at least as high as this batch's own N-th best score.

        Without it the first batch, which meets no floor yet, would have every row
        scored again.
        """
        deepest = int(self._sizes.max())
        rows = scores.shape[1]
        if rows <= deepest or self._full.all():
            return self._floor
        comparable = self._bounds.without_doubtful(scores)
        nth = np.partition(comparable, rows - deepest, axis=1)[:, rows - deepest]
        # Twice: the N-th may be worse than it looks, and another one better.
        raised: NDArray[np.float32] = np.maximum(
            self._floor, nth[:, None] - 2 * self._margin
        )
        return raised

    def _cut(self) -> None:
        """Sort, drop what is beyond N of its query, and raise the floor."""
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
