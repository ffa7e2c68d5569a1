"""The running top-k by the hybrid score."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.query.result import Parts
from app.ranking.hybrid_state import HybridState, query_words
from app.ranking.skills.hybrid_scoring import (
    UNKNOWN,
    Scores,
    cosine_share,
    match_scores,
    open_share,
    part_shares,
    soft_credit,
    word_scores,
)
from app.ranking.skills.methods import ScanGroup
from app.ranking.skills.scorer import RESCORED_PAIRS
from app.ranking.skills.skill_scores import SkillScores, rows_at
from app.ranking.skills.vocabulary import Vocabulary
from app.ranking.skills.word_scores import (
    WordCounts,
    WordIndex,
    approximate_scores,
    relative,
)
from app.ranking.top_k.codes import CodedCosines, CodedEntryChunk
from app.ranking.top_k.cosine import Cosines, margin_of
from app.ranking.top_k.distinct import distinct
from app.ranking.top_k.heap import DECIMALS, Scored, TopK
from app.storage.copy.skill_ids import EntryChunk

# Half a unit of the last decimal, and float32's rounding of weighted means.
HYBRID_ROUNDING = 5e-6


class HybridTopK:
    """A running top-k per query: call `update` for each chunk, then `result`."""

    def __init__(self, vocabulary: Vocabulary, group: ScanGroup) -> None:
        self._vocabulary = vocabulary
        given = [
            None if state is None else HybridState.of(state, asked)
            for state, asked in zip(group.states, group.asked, strict=True)
        ]
        skills = group.skills_with(
            [None if state is None else state.weights for state in given]
        )
        self._skills = SkillScores(vocabulary, skills, soft_credit)
        self._index = WordIndex(vocabulary, [query_words(one) for one in group.asked])
        self._cosines = Cosines(group.texts)
        self._scale = vocabulary.calibration.texts
        self._coded = CodedCosines(self._cosines.queries)
        self._states = self._all_states(group, given)
        self._open_shares = np.array([state.open_share for state in self._states])
        shares = np.zeros((len(given), self._index.size), np.float32)
        for row, own, state in zip(
            shares, self._index.columns, self._states, strict=True
        ):
            row[own] = state.shares
        self._shares = shares  # (q, w)
        # The cosine has most weight where nothing of a query is known.
        off = margin_of(group.texts.shape[1]) * self._scale.slope
        error, none = np.array([off]), np.zeros(1)
        margin = float(match_scores(error, none, none, open_share=1.0)[0])
        self._best = TopK(
            skills.sizes,
            margin=margin + HYBRID_ROUNDING,
            bounds=skills.bounds,
            factors=skills.row_factors,
        )
        self.analyzed = 0

    @property
    def weights(self) -> Sequence[Scores]:
        """(k,) for each query: the weights of its skills."""
        return self._skills.weights

    @property
    def states(self) -> Sequence[Scores]:
        """The ranking state for each query's next page."""
        return [state.values for state in self._states]

    def update(self, batch: EntryChunk) -> None:
        """Score one chunk."""
        skill_ids = self._vocabulary.known(batch.skill_ids)
        self.analyzed += len(batch.ids)
        words = self._index.count(skill_ids, batch.starts)
        least, spread = self._approximate(batch, skill_ids, words)
        query, row = self._best.candidates(least, batch.ids, spread)
        for start in range(0, len(row), RESCORED_PAIRS):
            part = slice(start, start + RESCORED_PAIRS)
            exact = self._exact(batch, skill_ids, words, query[part], row[part])
            self._best.keep(query[part], batch.ids[row[part]], exact)

    def result(self, query: int) -> list[Scored]:
        """The best rows of one query: highest score first, ties by id."""
        return self._best.result(query)

    def parts(self, query: int, batch: EntryChunk) -> list[Parts]:
        """The parts of one query's scores of these rows."""
        skill_ids = self._vocabulary.known(batch.skill_ids)
        words = self._index.count(skill_ids, batch.starts)
        row = np.arange(len(batch.ids))
        values = self._values(batch, skill_ids, words, np.full_like(row, query), row)
        shares = part_shares(*values, open_share=float(self._open_shares[query]))
        return [Parts(*each) for each in np.round(shares, DECIMALS).T.tolist()]

    def _approximate(
        self, batch: EntryChunk, skill_ids: NDArray[np.int32], words: WordCounts
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The least scores, and by how much more rows may score: (q, n) each."""
        cosines, cosine_spread = self._approximate_cosines(batch)
        means = [state.mean for state in self._states]
        least, most = self._skills.approximate(skill_ids, batch.starts)
        open_shares = self._open_shares.astype(np.float32)[:, None]
        scores = match_scores(
            cosines,
            least,
            approximate_scores(words, self._shares, means),
            open_share=open_shares,
        )
        none = np.zeros((), np.float32)
        spread = match_scores(none, most - least, none, open_share=open_shares)
        return scores.astype(np.float32), spread.astype(np.float32) + cosine_spread

    def _approximate_cosines(
        self, batch: EntryChunk
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The least cosines, (q, n), and how much more they add to a score, (n,)."""
        none = np.zeros(len(batch.ids), np.float32)
        if not self._open_shares.any():
            # All skills of all queries are known: whole texts count for nothing.
            return np.zeros((len(self._states), len(batch.ids)), np.float32), none
        if not isinstance(batch, CodedEntryChunk):
            cosines, _ = self._cosines.approximate(batch.embeddings)
            return np.nan_to_num(self._scale.of(cosines), copy=False), none
        lowest = np.empty((len(self._states), len(batch.ids)), np.float32)
        spread = self._coded.lowest(batch.codes, lowest)
        share = cosine_share(float(self._open_shares.max())) * self._scale.slope
        return self._scale.of(lowest), np.float32(share) * spread

    def _exact(
        self,
        batch: EntryChunk,
        skill_ids: NDArray[np.int32],
        words: WordCounts,
        query: NDArray[np.int64],
        row: NDArray[np.int64],
    ) -> Scores:
        """(n,): exact scores of pairs of a query and a row of the chunk."""
        parts = self._values(batch, skill_ids, words, query, row)
        return match_scores(*parts, open_share=self._open_shares[query])

    def _values(
        self,
        batch: EntryChunk,
        skill_ids: NDArray[np.int32],
        words: WordCounts,
        query: NDArray[np.int64],
        row: NDArray[np.int64],
    ) -> tuple[Scores, Scores, Scores]:
        """(n,) each: exact cosines, and scores by skills and by words."""
        rows, place = np.unique(row, return_inverse=True)
        chosen = rows_at(skill_ids, batch.starts, rows)
        by_skills, _ = self._skills.exact(*chosen, query, place)
        cosines = self._scale.of(self._cosines.exact(batch.embeddings_at(row), query))
        by_words = np.empty(len(query))
        for number in distinct(query):
            state = self._states[number]
            mine = np.flatnonzero(query == number)
            at = row[mine]
            by_words[mine] = word_scores(
                words.counts[np.ix_(at, self._index.columns[number])],
                state.shares,
                relative(words.lengths[at], state.mean),
            )
        cosines = np.nan_to_num(cosines, nan=0.0, posinf=0.0, neginf=0.0)
        return cosines, by_skills, by_words

    def _all_states(
        self, group: ScanGroup, given: Sequence[HybridState | None]
    ) -> list[HybridState]:
        # A job lists its own skills, so for jobs only skills of two or more jobs count.
        listed_by = 1 if group.key.source == "profile" else 2
        nearest = self._skills.table.nearest(least=UNKNOWN, listed_by=listed_by)
        return [
            state
            or HybridState(
                weights,
                shares,
                query.open_share(open_share(nearest[own[: query.read.clauses]])),
                self._index.mean,
            )
            for query, state, weights, shares, own in zip(
                group.asked,
                given,
                self._skills.weights,
                self._index.shares,
                group.skills.columns,
                strict=True,
            )
        ]
