"""The running top-k by skills; ties are ordered by coverage."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.ranking.skills.scoring import match_credit
from app.ranking.skills.skill_scores import SkillQueries, SkillScores, rows_at
from app.ranking.skills.vocabulary import Vocabulary
from app.ranking.top_k.heap import Scored, TopK
from app.storage.copy.skill_ids import SkillIdChunk

# Half a unit of the last decimal, and float32's rounding of a weighted mean of 64
# terms.
SKILL_ROUNDING = 5e-6

# Candidates rescored at a time.
RESCORED_PAIRS = 256


class SkillTopK:
    """A running top-k per query: call `update` for each chunk, then `result`."""

    def __init__(self, vocabulary: Vocabulary, queries: SkillQueries) -> None:
        self._vocabulary = vocabulary
        self._scores = SkillScores(vocabulary, queries, match_credit)
        self._best = TopK(
            queries.sizes,
            margin=SKILL_ROUNDING,
            bounds=queries.bounds,
            factors=queries.row_factors,
        )
        self.analyzed = 0

    @property
    def weights(self) -> Sequence[NDArray[np.float64]]:
        """(k,) for each query: the weights of its skills."""
        return self._scores.weights

    @property
    def states(self) -> Sequence[NDArray[np.float64]]:
        """The ranking state for each query's next page."""
        return self._scores.weights

    def update(self, batch: SkillIdChunk) -> None:
        """Score one chunk."""
        skill_ids = self._vocabulary.known(batch.skill_ids)
        self.analyzed += len(batch.ids)
        least, most = self._scores.approximate(skill_ids, batch.starts)
        query, row = self._best.candidates(least, batch.ids, most - least)
        for start in range(0, len(row), RESCORED_PAIRS):
            part = slice(start, start + RESCORED_PAIRS)
            rows, place = np.unique(row[part], return_inverse=True)
            chosen = rows_at(skill_ids, batch.starts, rows)
            scores, coverage = self._scores.exact(*chosen, query[part], place)
            self._best.keep(query[part], batch.ids[row[part]], scores, coverage)

    def parts(self, query: int, batch: SkillIdChunk) -> list[None]:  # noqa: ARG002
        """None for each row: the score is one."""
        return [None] * len(batch.ids)

    def result(self, query: int) -> list[Scored]:
        """The best rows of one query; the tie breaker is the coverage."""
        return self._best.result(query)
