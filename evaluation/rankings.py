"""The rankings that `make eval` compares: each scores every row for each question."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from app.ranking.hybrid import ByAllParts
from app.ranking.skills.hybrid_scoring import (
    HybridWeights,
    match_scores,
    open_share,
    soft_credit,
    word_scores,
    word_shares,
)
from app.ranking.skills.methods import BySkills
from app.ranking.skills.scoring import FLOOR, LENGTH_PENALTY, RARITY, discounts
from evaluation.datasets import Dataset
from evaluation.encoding import RememberingEncoder
from evaluation.entries import Entries, SkillMatches, WordMatches, entries_of
from evaluation.measures import Ranked, Scores
from evaluation.served import served_ranking

Method = Callable[[], Iterator[Ranked]]

# Robertson and Zaragoza, 2009: the values that search engines start with.
BM25_K1 = 1.2
BM25_B = 0.75

# The credit of `skills` in the hybrid's terms.
AS_SERVED = HybridWeights(cosine=0, skills=1, words=0, floor=FLOOR, power=1)


@dataclass(frozen=True)
class Contest:
    """One dataset and what its rankings share, each computed once."""

    data: Dataset
    encoder: RememberingEncoder

    @cached_property
    def entries(self) -> Entries:
        return entries_of(self.data, with_titles=False)

    @cached_property
    def titled(self) -> Entries:
        """The entries with the rows' titles; the same where there are none."""
        if not self.data.titles:
            return self.entries
        return entries_of(self.data, with_titles=True)

    @cached_property
    def titled_matches(self) -> SkillMatches:
        return SkillMatches(self.data, self.titled, self.encoder)

    @cached_property
    def words(self) -> WordMatches:
        return WordMatches(self.data, self.titled)

    @cached_property
    def cosines(self) -> NDArray[np.float32]:
        """(questions, rows) float32 of the whole texts."""
        rows = self.encoder.encode(self.data.rows)
        cosines: NDArray[np.float32] = self.encoder.encode(self.data.queries) @ rows.T
        return cosines

    def methods(self) -> dict[str, Method]:
        """By name, those of the tables."""
        return {
            "`similarity`": self.similarity,
            "`skills`": self.skills,
            "BM25": self.bm25,
            "TF-IDF": self.tf_idf,
            "`hybrid`": self.hybrid,
        }

    def similarity(self) -> Iterator[Ranked]:
        """One vector for each text, by cosine."""
        for cosines in self.cosines:
            yield Ranked(cosines.astype(np.float64))

    def skills(self) -> Iterator[Ranked]:
        """Skill by skill, ties by coverage, by the code of the service."""
        return served_ranking(self.data, self.entries, self.encoder, BySkills())

    def hybrid(self) -> Iterator[Ranked]:
        """Whole texts, skills and words, by the code of the service."""
        method = ByAllParts(self.encoder)
        return served_ranking(self.data, self.titled, self.encoder, method)

    def weighted(self, weights: HybridWeights) -> Iterator[Ranked]:
        """The same with other weights, from all similarities at once: to choose by."""
        skills = self.soft_skills(weights)
        words = self.word_scores(weights)
        for cosines, by_skills, by_words, left in zip(
            self.cosines, skills, words, self.open_shares, strict=True
        ):
            yield Ranked(
                match_scores(
                    cosines.astype(np.float64),
                    by_skills,
                    by_words,
                    open_share=left,
                    weights=weights,
                )
            )

    @cached_property
    def open_shares(self) -> list[float]:
        """For each question what its skills leave to the whole text."""
        nearest = self.titled_matches.similarities.max(axis=0)
        return [open_share(nearest[own]) for own in self.titled_matches.columns]

    def soft_skills(
        self,
        weights: HybridWeights,
        favours: Sequence[NDArray[np.float64]] | None = None,
    ) -> Iterator[Scores]:
        """(rows,) for each question: the skill-by-skill part of the hybrid.

        `favours`: the factors of each question's skills.
        """
        entries, matches = self.titled, self.titled_matches
        longest = int(entries.sizes.max())
        for number, columns in enumerate(matches.columns):
            credit = soft_credit(matches.best[:, columns], weights=weights)
            # The service counts with one floor for all rankings.
            near = soft_credit(matches.similarities[:, columns], weights=AS_SERVED)
            rare = np.log(1 + len(credit) / (1 + entries.listed @ near)) ** RARITY
            if favours is not None:
                rare = rare * favours[number]
            left = discounts(
                len(columns), length_penalty=LENGTH_PENALTY, sizes=longest
            )[entries.sizes]
            yield credit @ (rare / rare.sum()) * left

    def word_scores(self, weights: HybridWeights) -> Iterator[Scores]:
        """(rows,) for each question: the words' part of the hybrid."""
        words = self.words
        mean = float(words.lengths.mean())
        shares_of_all = words.frequency
        for columns in words.columns:
            yield word_scores(
                words.counts[:, columns],
                word_shares(shares_of_all[columns], jobs=len(words.lengths)),
                words.lengths / mean,
                weights=weights,
            )

    def bm25(self) -> Iterator[Ranked]:
        """Keyword search over the whole texts."""
        counter = CountVectorizer(token_pattern=r"(?u)\b\w+\b")  # noqa: S106
        scored = counter.fit_transform(self.data.rows).astype(np.float64).tocsr()
        # Changes the order in place: `indices` and `data` are read side by side below.
        scored.sort_indices()
        rows = scored.shape[0]
        lengths = np.asarray(scored.sum(axis=1)).ravel()
        held = np.bincount(scored.indices, minlength=scored.shape[1])
        rare = np.log(1 + (rows - held + 0.5) / (held + 0.5))
        damp = BM25_K1 * (1 - BM25_B + BM25_B * lengths / max(lengths.mean(), 1))
        row_of = np.repeat(np.arange(rows), np.diff(scored.indptr))
        scored.data *= (BM25_K1 + 1) / (scored.data + damp[row_of])
        scored.data *= rare[scored.indices]
        for query in counter.transform(self.data.queries):
            query.data[:] = 1
            yield Ranked((scored @ query.T).toarray()[:, 0].astype(np.float64))

    def tf_idf(self) -> Iterator[Ranked]:
        """Keyword search by the cosine of TF-IDF vectors."""
        vectorizer = TfidfVectorizer()
        rows = vectorizer.fit_transform(self.data.rows)
        for query in vectorizer.transform(self.data.queries):
            yield Ranked((rows @ query.T).toarray()[:, 0])
