"""The hybrid ranking's formula: whole texts, skill by skill, and words in one score.

It computes on arrays only; where they come from is the caller's. The choice of the
numbers is in docs/decisions/0012-hybrid-ranking.md.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.ranking.skills.scoring import SAME

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class HybridWeights:
    """How much each part counts, and the parts' own parameters.

    `floor`: similarity of two skills at and below which they credit nothing; `power`:
    1 lets the credit rise evenly from there, more favours near matches.
    `saturation`, `length_share`: BM25's k1 and b.
    """

    cosine: float
    skills: float
    words: float
    floor: float
    power: float = 2.0
    saturation: float = 1.2
    length_share: float = 0.75

    @property
    def steepness(self) -> float:
        """The steepest rise of `soft_credit`."""
        return self.power / (SAME - self.floor)


HYBRID_WEIGHTS = HybridWeights(cosine=1.0, skills=2.0, words=1.0, floor=0.2)

# A word counts by this power of its inverse document frequency, as a skill does.
WORD_RARITY = 0.5

# So that no words at all have no shares.
LEAST_SUM = 1e-12

# A skill of a question is unknown to a board whose most similar skill is this far.
UNKNOWN = 0.5


def soft_credit(
    similarity: NDArray[np.floating], *, weights: HybridWeights = HYBRID_WEIGHTS
) -> NDArray[np.floating]:
    """From 0 at the floor to 1 for the same skill; shape and type of the input.

    It rises by at most `steepness`: errors grow by no more.
    """
    floor = weights.floor
    share = np.clip((similarity - floor) / (SAME - floor), 0, 1)
    credit: NDArray[np.floating] = share**weights.power
    return credit


def open_share(nearest: NDArray[np.floating]) -> float:
    """From 0 to 1: how much a question's skills leave to its text as a whole.

    `nearest`: (k,) each skill's greatest similarity with any skill of the board. 0
    where the board has all of them, 1 where it has none, nor where there is none.
    """
    if not len(nearest):
        return 1.0
    exact = nearest.astype(np.float64)
    known = np.clip((exact - UNKNOWN) / (SAME - UNKNOWN), 0, 1)
    return float(1 - known.mean())


def word_shares(frequency: Scores, *, jobs: int) -> Scores:
    """(w,) from 0 to 1, sum 1: the share of each of a question's words in its score.

    `frequency`: (w,) how often the `jobs` hold each word, 0 for a word of none; a job
    that holds it in two skills may count twice. Where nobody counted `jobs`, all words
    count alike.
    """
    if not jobs:
        return np.full(len(frequency), 1 / max(1, len(frequency)))
    rare = np.log(1 + jobs / (1 + frequency)) ** WORD_RARITY
    shares: Scores = rare / max(rare.sum(), LEAST_SUM)
    return shares


def saturated_counts(
    counts: Scores,  # (n, w): how often each job's skills hold each word
    lengths: Scores,  # (n,): words of each job, as a multiple of the mean
    *,
    weights: HybridWeights = HYBRID_WEIGHTS,
) -> Scores:
    """(n, w) from 0 to 1: what each word gives, by the most that it could."""
    k1, b = weights.saturation, weights.length_share
    damp = k1 * (1 - b + b * lengths)
    return counts / (counts + damp[:, None])


def word_scores(
    counts: Scores,  # (n, w)
    shares: Scores,  # (w,)
    lengths: Scores,  # (n,)
    *,
    weights: HybridWeights = HYBRID_WEIGHTS,
) -> Scores:
    """(n,) from 0 to 1: BM25 by the most that any job could have."""
    saturated = saturated_counts(counts, lengths, weights=weights) * shares
    # Not by BLAS, whose last digit depends on the number of rows.
    scores: Scores = np.ascontiguousarray(saturated).sum(axis=1)
    return scores


def match_scores(
    cosine: NDArray[np.floating],
    skills: NDArray[np.floating],
    words: NDArray[np.floating],
    *,
    open_share: float | NDArray[np.floating],
    weights: HybridWeights = HYBRID_WEIGHTS,
) -> Scores:
    """(n,) from 0 to 1: the weighted mean of the three parts; (q, n) where they are.

    The cosine counts by what the skills leave open; below 0 it counts as 0.
    """
    for_cosine = weights.cosine * open_share
    total = for_cosine + weights.skills + weights.words
    scores: Scores = (
        for_cosine * np.clip(cosine, 0, 1)
        + weights.skills * skills
        + weights.words * words
    ) / total
    return scores
