"""The best rows of a stream by skills: how well each row's skills match a query's.

The score of a row is the mean, over the query's skills and weighted by their idf, of
the credit of the most similar of the row's skills, less a discount for a list longer
than the query's. Equal scores are ordered by coverage, the mean over the row's skills
of the credit of the most similar of the query's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.ranking.skills.idf import query_weights
from app.ranking.skills.parse import MAX_SKILLS
from app.ranking.skills.scoring import (
    LENGTH_PENALTY,
    STEEPNESS,
    discounts,
    match_credit,
    weighted,
)
from app.ranking.skills.vocabulary import Vocabulary
from app.ranking.top_k.bounds import Bounds
from app.ranking.top_k.heap import Scored, TopK
from app.storage.copy.skill_ids import SkillIdChunk

# Half a unit of the last published digit, and float32's rounding of a weighted mean of
# 64 terms.
SKILL_ROUNDING = 5e-6

# Candidates that are scored again at once, and exact vectors read at once (0.8 MB).
RESCORED_PAIRS = 256
REFINE_ROWS = 256


@dataclass(frozen=True)
class SkillQueries:
    """The skills of several queries, each different one once.

    `vectors`: (k, 384) float32 of unit length. `columns`: for each query which of
    them are its own, at least one. `sizes`: the N of each query. `bounds`: one for
    each query, or none at all. `length_penalty`: what a list longer than the
    query's costs. `weights`: for each query those of the page before, None for a
    first page; or none at all.
    """

    vectors: NDArray[np.float32]
    columns: Sequence[NDArray[np.intp]]
    sizes: Sequence[int]
    bounds: Sequence[Bounds] = ()
    length_penalty: float = LENGTH_PENALTY
    weights: Sequence[NDArray[np.float64] | None] = ()


class SkillTopK:
    """A running top-N per query. Feed it batches, then ask for the results."""

    def __init__(self, vocabulary: Vocabulary, queries: SkillQueries) -> None:
        self._vocabulary = vocabulary
        self._queries = queries
        # (rows + 1, k) float32; the codes' at first, exact where `_refined` says so.
        self._similarities = vocabulary.similarities(queries.vectors)
        self._refined = np.zeros(len(self._similarities), dtype=bool)
        self._refined[-1] = True  # unknown skills: exactly nothing
        # Before any of them is refined: nobody's weights depend on the rows seen.
        self.weights = self._all_weights()
        table = np.zeros((len(queries.columns), len(queries.vectors)), np.float32)
        for row, columns, own in zip(table, queries.columns, self.weights, strict=True):
            row[columns] = own
        self._weights = table  # (q, k)
        self._discounts = np.array(  # (q, MAX_SKILLS + 1) float64, by a row's length
            [
                discounts(
                    len(columns),
                    length_penalty=queries.length_penalty,
                    sizes=MAX_SKILLS,
                )
                for columns in queries.columns
            ]
        )
        # A mean, weighted or not, is off by no more than the worst of its terms.
        error = vocabulary.similarity_error(queries.vectors)
        margin = error * STEEPNESS + SKILL_ROUNDING
        self._best = TopK(queries.sizes, margin=margin, bounds=queries.bounds)
        self.analyzed = 0

    def update(self, batch: SkillIdChunk) -> None:
        """Take one batch into account."""
        skill_ids = self._vocabulary.known(batch.skill_ids)
        self.analyzed += len(batch.ids)
        found = self._approximate(skill_ids, batch.starts)
        query, row = self._best.candidates(found, batch.ids)
        for start in range(0, len(row), RESCORED_PAIRS):
            part = slice(start, start + RESCORED_PAIRS)
            rows, place = np.unique(row[part], return_inverse=True)
            chosen = _rows(skill_ids, batch.starts, rows)
            scores, coverage = self._exact(*chosen, query[part], place)
            self._best.keep(query[part], batch.ids[row[part]], scores, coverage)

    def result(self, query: int) -> list[Scored]:
        """The best rows of one query; `second` is the coverage."""
        return self._best.result(query)

    def _all_weights(self) -> list[NDArray[np.float64]]:
        columns, given = self._queries.columns, self._queries.weights
        known = {n: weights for n, weights in enumerate(given) if weights is not None}
        new = [n for n in range(len(columns)) if n not in known]
        if new:
            own = [columns[n] for n in new]
            counted = query_weights(self._vocabulary, self._similarities, own)
            known |= zip(new, counted, strict=True)
        return [known[n] for n in range(len(columns))]

    def _approximate(
        self, skill_ids: NDArray[np.int32], starts: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """Scores, (q, n) float32."""
        found = self._similarities.take(skill_ids, axis=0)  # (m, k)
        best = np.maximum.reduceat(found, starts, axis=0)  # (n, k)
        shares: NDArray[np.float32] = self._weights @ match_credit(best).T
        listed = _listed(skill_ids, starts)
        shares *= self._discounts[:, np.minimum(listed, MAX_SKILLS)]
        return shares

    def _exact(
        self,
        skill_ids: NDArray[np.int32],
        starts: NDArray[np.intp],
        query: NDArray[np.int64],
        place: NDArray[np.intp],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Score and coverage of pairs of a query and a row's place in `starts`."""
        self._refine(np.unique(skill_ids))
        found = self._similarities[skill_ids].astype(np.float64)  # (m, k)
        best = match_credit(np.maximum.reduceat(found, starts, axis=0))
        listed = _listed(skill_ids, starts)
        left = self._discounts[:, np.minimum(listed, MAX_SKILLS)]  # (q, n)
        scores = np.empty(len(query))
        coverage = np.empty(len(query))
        for number in np.unique(query):
            columns = self._queries.columns[number]
            mine = np.flatnonzero(query == number)
            at = place[mine]
            shares = weighted(best[np.ix_(at, columns)], self.weights[number])
            scores[mine] = shares * left[number, at]
            covered = match_credit(found[:, columns].max(axis=1))
            coverage[mine] = (np.add.reduceat(covered, starts) / listed)[at]
        return scores, coverage

    def _refine(self, skill_ids: NDArray[np.int32]) -> None:
        """Put the exact similarities of these skills into the table."""
        todo = skill_ids[~self._refined[skill_ids]]
        for start in range(0, len(todo), REFINE_ROWS):
            part = todo[start : start + REFINE_ROWS]
            # Not by BLAS, whose last digit depends on who else is asked for.
            self._similarities[part] = np.einsum(
                "ij,kj->ik",
                self._vocabulary.vectors(part),
                self._queries.vectors,
                dtype=np.float64,
                optimize=False,
            )
        self._refined[todo] = True


def _rows(
    skill_ids: NDArray[np.int32],
    starts: NDArray[np.intp],
    rows: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """The skill ids and starts of some of the rows."""
    sizes = _listed(skill_ids, starts)[rows]
    first = np.zeros(len(rows), np.intp)
    np.cumsum(sizes[:-1], out=first[1:])
    places = np.arange(sizes.sum()) + np.repeat(starts[rows] - first, sizes)
    return skill_ids[places], first


def _listed(skill_ids: NDArray[np.int32], starts: NDArray[np.intp]) -> NDArray[np.intp]:
    """(n,): how many skills each row lists."""
    return np.diff(np.append(starts, len(skill_ids)))
