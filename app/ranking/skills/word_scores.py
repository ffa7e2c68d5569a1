"""Scores by words: BM25 over the words of each row's skills, by their ids."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.ranking.skills.hybrid_scoring import Scores, saturated_counts, word_shares
from app.ranking.skills.scoring import approximate_sums
from app.ranking.skills.vocabulary import Vocabulary


@dataclass(frozen=True)
class WordCounts:
    """Word counts of some rows.

    `counts`: (n, w) float64, how often a row's skills contain each word. `lengths`:
    (n,) float64, the number of words.
    """

    counts: Scores
    lengths: Scores


class WordIndex:
    """Counts the words of several queries in rows of skill ids.

    `size`: the number of distinct words. `columns`: the columns of each query.
    `shares`: the weights of its words, with sum 1, or none. `mean`: the mean number of
    words of a job, 0 without counts.
    """

    def __init__(self, vocabulary: Vocabulary, words: Sequence[Sequence[str]]) -> None:
        distinct = list(dict.fromkeys(word for own in words for word in own))
        place = {word: n for n, word in enumerate(distinct)}
        self.columns = [np.array([place[w] for w in own], np.intp) for own in words]
        self.size = len(distinct)
        skill, self._column = vocabulary.holding(distinct)
        self._first = np.searchsorted(skill, np.arange(vocabulary.rows + 2))
        self._sizes = np.diff(self._first)
        self._words = np.zeros(vocabulary.rows + 1)  # of each skill
        if vocabulary.rows:
            self._words[:-1] = vocabulary.codes["words"]
        self._count(vocabulary, skill)

    def _count(self, vocabulary: Vocabulary, skill: NDArray[np.int32]) -> None:
        """Document frequencies by the counts of jobs: common words have less weight."""
        counts = vocabulary.counts
        jobs = 0 if counts is None else counts.jobs
        listed = np.zeros(len(self._words))
        if counts is not None:
            known = counts.listed[: vocabulary.rows]
            listed[: len(known)] = known
        held = np.bincount(self._column, listed[skill], minlength=self.size)
        frequency = np.minimum(held, jobs)
        self.mean = float(listed @ self._words) / jobs if jobs else 0.0
        self.shares = [word_shares(frequency[own], jobs=jobs) for own in self.columns]

    def count(
        self, skill_ids: NDArray[np.int32], starts: NDArray[np.intp]
    ) -> WordCounts:
        """Count the words of rows with known skill ids, see `Vocabulary.known`."""
        sizes = self._sizes[skill_ids]
        # Most skills hold none of the words.
        holding = np.flatnonzero(sizes)
        sizes = sizes[holding]
        row = np.searchsorted(starts, holding, side="right") - 1
        first = self._first[skill_ids[holding]]
        before = np.cumsum(sizes) - sizes
        places = np.arange(sizes.sum()) + np.repeat(first - before, sizes)
        at = np.repeat(row, sizes) * self.size + self._column[places]
        counts = np.bincount(at, minlength=len(starts) * self.size)
        return WordCounts(
            counts.reshape(len(starts), self.size).astype(np.float64),
            np.add.reduceat(self._words[skill_ids], starts),
        )


def relative(lengths: Scores, mean: float) -> Scores:
    """Lengths as multiples of the mean; all equal without one."""
    return lengths / mean if mean else np.ones_like(lengths)


def approximate_scores(
    words: WordCounts,
    shares: NDArray[np.float32],  # (q, w)
    means: Sequence[float],
) -> NDArray[np.float32]:
    """(q, n) float32. `means`: those of each query, mostly equal."""
    scores = np.empty((len(shares), len(words.lengths)), np.float32)
    for mean in set(means):
        mine = np.flatnonzero(np.array(means) == mean)
        saturated = saturated_counts(words.counts, relative(words.lengths, mean))
        scores[mine] = approximate_sums(shares[mine], saturated.astype(np.float32))
    return scores
