"""The hybrid ranking's formula: whole texts, skill by skill, and words in one score.

It computes on arrays only; where they come from is the caller's. The choice of the
numbers is in docs/decisions/hybrid-ranking.md.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.ranking.skills.scoring import SAME

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class HybridWeights:
    """How much each part counts, and the parts' own parameters.

    `floor`: similarity of two skills at and below which they credit nothing.
    `saturation`, `length_share`: BM25's k1 and b.
    """

    cosine: float
    skills: float
    words: float
    floor: float
    saturation: float = 1.2
    length_share: float = 0.75


WEIGHTS = HybridWeights(cosine=1.0, skills=2.0, words=1.0, floor=0.3)

# A word counts by this power of its inverse document frequency, as a skill does.
WORD_RARITY = 0.5


def soft_credit(similarity: NDArray[np.floating], *, floor: float) -> Scores:
    """From 0 at `floor` evenly to 1 for the same skill; the shape of the input."""
    credit: Scores = np.clip(
        (similarity.astype(np.float64) - floor) / (SAME - floor), 0, 1
    )
    return credit


def word_shares(frequency: Scores, *, jobs: int) -> Scores:
    """(w,) from 0 to 1, sum 1: the share of each of a question's words in its score.

    `frequency`: (w,) how often the `jobs` hold each word, 0 for a word of none; a job
    that holds it in two skills may count twice.
    """
    rare = np.log(1 + jobs / (1 + frequency)) ** WORD_RARITY
    total = rare.sum()
    shares: Scores = rare / total if total else rare
    return shares


def word_scores(
    counts: Scores,  # (n, w): how often each job's skills hold each word
    shares: Scores,  # (w,)
    lengths: Scores,  # (n,): words of each job, as a multiple of the mean
    *,
    weights: HybridWeights = WEIGHTS,
) -> Scores:
    """(n,) from 0 to 1: BM25 by the most that any job could have."""
    k1, b = weights.saturation, weights.length_share
    damp = k1 * (1 - b + b * lengths)
    saturated = counts / (counts + damp[:, None]) * shares
    # Not by BLAS, whose last digit depends on the number of rows.
    scores: Scores = np.ascontiguousarray(saturated).sum(axis=1)
    return scores


def match_scores(
    cosine: Scores, skills: Scores, words: Scores, *, weights: HybridWeights = WEIGHTS
) -> Scores:
    """(n,) from 0 to 1: the weighted mean of the three parts.

    A cosine below 0 counts as 0.
    """
    total = weights.cosine + weights.skills + weights.words
    scores: Scores = (
        weights.cosine * np.clip(cosine, 0, 1)
        + weights.skills * skills
        + weights.words * words
    ) / total
    return scores
