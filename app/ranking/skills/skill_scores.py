"""Scores of rows by skills.

The score of a row is the mean, over the query's skills and weighted by their idf, of
the match credit of the row's most similar skill, with a length penalty for a list
longer than the query's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.ranking.skills.idf import multiplied, query_weights
from app.ranking.skills.parse import MAX_SKILLS
from app.ranking.skills.scoring import (
    LENGTH_PENALTY,
    approximate_sums,
    discounts,
    weighted,
)
from app.ranking.skills.similarity_table import SimilarityTable
from app.ranking.skills.vocabulary import Vocabulary
from app.ranking.top_k.bounds import Bounds
from app.ranking.top_k.distinct import distinct
from app.ranking.top_k.factors import RowFactors

# Maps similarities to credits of the same shape and type.
Credit = Callable[[NDArray[np.floating]], NDArray[np.floating]]


@dataclass(frozen=True)
class SkillQueries:
    """The distinct skills of several queries.

    `vectors`: (k, dimension) float32 of unit length. `columns`: the columns of each
    query, at least one. `sizes`: the k of each query. `bounds`: one for each query, or
    none. `length_penalty`: for lists longer than the query's. `weights`: those of each
    query's previous page, None for a first page; or none. `factors`: (k,) for each
    query, of the weights of a first page; or none. `row_factors`: of the rows' scores.
    """

    vectors: NDArray[np.float32]
    columns: Sequence[NDArray[np.intp]]
    sizes: Sequence[int]
    bounds: Sequence[Bounds] = ()
    length_penalty: float = LENGTH_PENALTY
    weights: Sequence[NDArray[np.float64] | None] = ()
    factors: Sequence[NDArray[np.float64]] = ()
    row_factors: RowFactors | None = None


class SkillScores:
    """Computes approximate scores of all rows, and exact ones of some."""

    def __init__(
        self, vocabulary: Vocabulary, queries: SkillQueries, credit: Credit
    ) -> None:
        """`credit` must not fall with the similarity."""
        self._vocabulary = vocabulary
        self._queries = queries
        self._credit = credit
        self.table = SimilarityTable(vocabulary, queries.vectors)
        # Before any refinement, so that weights do not depend on the rows seen.
        self.weights = self._all_weights()
        own = np.zeros((len(queries.columns), len(queries.vectors)), np.float32)
        for row, columns, weights in zip(
            own, queries.columns, self.weights, strict=True
        ):
            row[columns] = weights
        self._weights = own  # (q, k)
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

    def approximate(
        self, skill_ids: NDArray[np.int32], starts: NDArray[np.intp]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The least and the greatest scores that rows may have: (q, n) float32 each, up
        to rounding. `skill_ids`: those of `Vocabulary`.

        Most similarities are low, where the credit rises slowly or not at all: its
        values at both ends are much closer than the greatest slope would tell.
        """
        found = self.table.values.take(skill_ids, axis=0)  # (m, k)
        best = np.maximum.reduceat(found, starts, axis=0)  # (n, k)
        listed = lengths(skill_ids, starts)
        left = self._discounts[:, np.minimum(listed, MAX_SKILLS)].astype(np.float32)
        error = np.float32(self.table.error)
        least, most = (
            left
            * approximate_sums(
                self._weights, self._credit(ends).astype(np.float32, copy=False)
            )
            for ends in (best - error, best + error)
        )
        return least, most

    def exact(
        self,
        skill_ids: NDArray[np.int32],
        starts: NDArray[np.intp],
        query: NDArray[np.int64],
        place: NDArray[np.intp],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Exact scores and coverages of pairs of a query and a row's index in `starts`.

        The coverage is the mean over the row's skills of the credit of the query's most
        similar skill.
        """
        self.table.refine(distinct(skill_ids))
        found = self.table.values[skill_ids].astype(np.float64)  # (m, k)
        best = self._credit(np.maximum.reduceat(found, starts, axis=0))
        listed = lengths(skill_ids, starts)
        left = self._discounts[:, np.minimum(listed, MAX_SKILLS)]  # (q, n)
        scores = np.empty(len(query))
        coverage = np.empty(len(query))
        for number in distinct(query):
            columns = self._queries.columns[number]
            mine = np.flatnonzero(query == number)
            at = place[mine]
            shares = weighted(best[np.ix_(at, columns)], self.weights[number])
            scores[mine] = shares * left[number, at]
            covered = self._credit(found[:, columns].max(axis=1))
            coverage[mine] = (np.add.reduceat(covered, starts) / listed)[at]
        return scores, coverage

    def _all_weights(self) -> list[NDArray[np.float64]]:
        columns, given = self._queries.columns, self._queries.weights
        known = {n: weights for n, weights in enumerate(given) if weights is not None}
        new = [n for n in range(len(columns)) if n not in known]
        if new:
            own = [columns[n] for n in new]
            counted = query_weights(self._vocabulary, self.table.values, own)
            if self._queries.factors:
                mine = [self._queries.factors[n] for n in new]
                counted = [
                    multiplied(*each) for each in zip(counted, mine, strict=True)
                ]
            known |= zip(new, counted, strict=True)
        return [known[n] for n in range(len(columns))]


def rows_at(
    skill_ids: NDArray[np.int32],
    starts: NDArray[np.intp],
    rows: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """The skill ids and starts of some rows."""
    sizes = lengths(skill_ids, starts)[rows]
    first = np.zeros(len(rows), np.intp)
    np.cumsum(sizes[:-1], out=first[1:])
    places = np.arange(sizes.sum()) + np.repeat(starts[rows] - first, sizes)
    return skill_ids[places], first


def lengths(skill_ids: NDArray[np.int32], starts: NDArray[np.intp]) -> NDArray[np.intp]:
    """(n,): the number of skills of each row."""
    return np.diff(np.append(starts, len(skill_ids)))
