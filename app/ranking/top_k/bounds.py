"""Per-query constraints: excluded ids, minimum score, cursor position."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.query.constraints import Constraints
from app.query.ids import IdColumn

# The rounding error of a bound in float32.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Scored:
    """One ranked row: its id as in the stream, its score, and the tie breaker, highest
    first; and what its score was multiplied by, None without boosts.
    """

    id: Any
    score: float
    second: float = 0.0
    factor: float | None = None


@dataclass(frozen=True)
class Bounds:
    """The bounds of one query, with ids as in the stream."""

    least: float = -np.inf
    after: Scored | None = None
    excluded: Sequence[Any] = ()

    @classmethod
    def of(cls, constraints: Constraints, column: IdColumn) -> "Bounds":
        """The bounds for some constraints. Excluded ids that no row can have are
        ignored.
        """
        excluded = [column.parse(id_) for id_ in constraints.exclude]
        after, last = None, constraints.after
        if last is not None and (id_ := column.parse(last.id)) is not None:
            after = Scored(column.to_stream(id_), last.score, last.second)
        return cls(
            least=-np.inf if constraints.min_score is None else constraints.min_score,
            after=after,
            excluded=[column.to_stream(id_) for id_ in excluded if id_ is not None],
        )


class BoundsOfAll:
    """The bounds of several queries; `margin` as in `TopK`."""

    def __init__(self, bounds: Sequence[Bounds], *, margin: float) -> None:
        margin += ROUNDING
        self._least = np.array([each.least for each in bounds])
        # The threshold for approximate scores: (q, 1) float32.
        self.floor = (self._least - margin)[:, None].astype(np.float32)
        self._excluded = _Excluded([each.excluded for each in bounds])
        self._has_pages = any(each.after for each in bounds)
        first = Scored(b"", np.inf)  # precedes every row
        after = [each.after or first for each in bounds]
        self._score = np.array([each.score for each in after])
        self._second = np.array([each.second for each in after])
        self._id = [each.id for each in after]
        self._surely_before = (self._score + margin)[:, None].astype(np.float32)
        self._surely_after = (self._score - margin)[:, None].astype(np.float32)

    def leave_out(
        self,
        scores: NDArray[np.float32],  # (q, n) approximate
        ids: NDArray[Any],
    ) -> None:
        """Set the scores of excluded rows, and of rows surely on an earlier page, to
        NaN.
        """
        if self._excluded:
            scores[self._excluded.found(ids)] = np.nan
        if self._has_pages:
            scores[scores > self._surely_before] = np.nan

    def without_doubtful(
        self, scores: NDArray[np.float32], most: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """The scores without NaN, and without rows that may be on an earlier page.

        `most`: the maximum score of each row.
        """
        left_out = np.isnan(scores)
        if self._has_pages:
            left_out |= most > self._surely_after
        return np.where(left_out, np.float32(-np.inf), scores)

    def admits(
        self,
        query: NDArray[np.int64],
        ids: NDArray[Any],
        scores: NDArray[
            np.float64
        ],  # exact, rounded as in responses; `seconds` as well
        seconds: NDArray[np.float64],
    ) -> NDArray[np.bool_]:
        """Which rows are within their query's bounds, excluded ids aside."""
        admitted: NDArray[np.bool_] = scores >= self._least[query]
        if self._has_pages and len(ids):
            admitted &= self._is_after(query, ids, scores, seconds)
        return admitted

    def _is_after(
        self,
        query: NDArray[np.int64],
        ids: NDArray[Any],
        scores: NDArray[np.float64],
        seconds: NDArray[np.float64],
    ) -> NDArray[np.bool_]:
        """Whether rows come after the cursor, by score, tie breaker and id.

        The cursor's own row never does, even on a processor with other last digits.
        """
        last_ids = self._ids_like(ids)[query]
        last, second = self._score[query], self._second[query]
        later_id: NDArray[np.bool_] = ids > last_ids
        later_second = (seconds < second) | ((seconds == second) & later_id)
        after = (scores < last) | ((scores == last) & later_second)
        again: NDArray[np.bool_] = np.isfinite(last) & (ids == last_ids)
        is_after: NDArray[np.bool_] = after & ~again
        return is_after

    def _ids_like(self, ids: NDArray[Any]) -> NDArray[Any]:
        """(q,): the last id of each query's page; any value without a cursor."""
        if ids.dtype.kind == "i":
            return np.array([id_ if id_ != b"" else 0 for id_ in self._id], np.int64)
        return np.array(self._id)


class _Excluded:
    """The excluded ids of all queries, sorted, each with its query."""

    def __init__(self, excluded: Sequence[Sequence[Any]]) -> None:
        ids = np.array([id_ for some in excluded for id_ in some])
        query = np.repeat(np.arange(len(excluded)), [len(some) for some in excluded])
        order = np.argsort(ids, kind="stable")
        self._ids, self._query = ids[order], query[order]

    def __bool__(self) -> bool:
        return len(self._ids) > 0

    def found(self, ids: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(query, row) of these ids that a query excludes."""
        first = np.searchsorted(self._ids, ids, side="left")
        counts = np.searchsorted(self._ids, ids, side="right") - first
        row = np.repeat(np.arange(len(ids)), counts)
        nth = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        return self._query[first[row] + nth], row
