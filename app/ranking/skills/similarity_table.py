"""Similarities of all skills of the vocabulary with the skills of a batch."""

import numpy as np
from numpy.typing import NDArray

from app.ranking.skills.vocabulary import Vocabulary
from app.ranking.top_k.distinct import distinct

# Exact vectors read at a time (0.4 MB).
REFINE_ROWS = 256


class SimilarityTable:
    """First those of the codes, within `error` of the exact ones; exact after `refine`.

    All are independent of the other queries. `values`: (rows + 1, k) float32; the last
    row, for unknown skills, is zero.
    """

    def __init__(self, vocabulary: Vocabulary, vectors: NDArray[np.float32]) -> None:
        """`vectors`: (k, dimension) float32 of unit length."""
        self._vocabulary = vocabulary
        self._vectors = vectors
        self.error = vocabulary.similarity_error(vectors)
        self.values = vocabulary.similarities(vectors)
        self._refined = np.zeros(len(self.values), dtype=bool)
        self._refined[-1] = True

    def refine(self, skill_ids: NDArray[np.int32]) -> None:
        """Compute the exact similarities of these skills."""
        todo = skill_ids[~self._refined[skill_ids]]
        for start in range(0, len(todo), REFINE_ROWS):
            part = todo[start : start + REFINE_ROWS]
            # Not BLAS, whose last digits depend on the other queries.
            exact = np.einsum(
                "ij,kj->ik",
                self._vocabulary.vectors(part),
                self._vectors,
                dtype=np.float64,
                optimize=False,
            )
            self.values[part] = self._vocabulary.calibration.skills.of(exact)
        self._refined[todo] = True

    def nearest(self, *, least: float, listed_by: int) -> NDArray[np.float32]:
        """(k,) float32: the exact greatest similarity of each with skills of the jobs.

        Only skills that at least `listed_by` jobs list, if jobs were counted. 0 below
        `least`.
        """
        skill, column = np.nonzero(self.values[:-1] > least - self.error)
        counts = self._vocabulary.counts
        if counts is not None:
            listed = np.zeros(len(self.values), np.int32)
            known = counts.listed[: len(listed)]
            listed[: len(known)] = known
            is_listed = listed[skill] >= listed_by
            skill, column = skill[is_listed], column[is_listed]
        best = np.zeros(self.values.shape[1], np.float32)
        np.maximum.at(best, column, self.values[skill, column])
        near = self.values[skill, column] >= best[column] - 2 * self.error
        skill, column = skill[near], column[near]
        self.refine(distinct(skill).astype(np.int32))
        exact = np.zeros_like(best)
        np.maximum.at(exact, column, self.values[skill, column])
        found: NDArray[np.float32] = np.where(exact > least, exact, np.float32(0))
        return found
