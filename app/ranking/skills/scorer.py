"""The best rows of a stream by skills; equal scores are ordered by coverage."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.ranking.skills.scoring import STEEPNESS, match_credit
from app.ranking.skills.skill_scores import SkillQueries, SkillScores, rows_at
from app.ranking.skills.vocabulary import Vocabulary
from app.ranking.top_k.heap import Scored, TopK
from app.storage.copy.skill_ids import SkillIdChunk

# Half a unit of the last published digit, and float32's rounding of a weighted mean of
# 64 terms.
SKILL_ROUNDING = 5e-6

# Candidates that are scored again at once.
RESCORED_PAIRS = 256


class SkillTopK:
    """A running top-N per query. Feed it batches, then ask for the results."""

    def __init__(self, vocabulary: Vocabulary, queries: SkillQueries) -> None:
        self._vocabulary = vocabulary
        self._scores = SkillScores(vocabulary, queries, match_credit)
        # A mean, weighted or not, is off by no more than the worst of its terms.
        margin = self._scores.table.error * STEEPNESS + SKILL_ROUNDING
        self._best = TopK(queries.sizes, margin=margin, bounds=queries.bounds)
        self.analyzed = 0

    @property
    def weights(self) -> Sequence[NDArray[np.float64]]:
        """(k,) of each query: how much its skills count."""
        return self._scores.weights

    @property
    def states(self) -> Sequence[NDArray[np.float64]]:
        """What the next page of each query goes on from."""
        return self._scores.weights

    def update(self, batch: SkillIdChunk) -> None:
        """Take one batch into account."""
        skill_ids = self._vocabulary.known(batch.skill_ids)
        self.analyzed += len(batch.ids)
        found = self._scores.approximate(skill_ids, batch.starts)
        query, row = self._best.candidates(found, batch.ids)
        for start in range(0, len(row), RESCORED_PAIRS):
            part = slice(start, start + RESCORED_PAIRS)
            rows, place = np.unique(row[part], return_inverse=True)
            chosen = rows_at(skill_ids, batch.starts, rows)
            scores, coverage = self._scores.exact(*chosen, query[part], place)
            self._best.keep(query[part], batch.ids[row[part]], scores, coverage)

    def result(self, query: int) -> list[Scored]:
        """The best rows of one query; `second` is the coverage."""
        return self._best.result(query)
