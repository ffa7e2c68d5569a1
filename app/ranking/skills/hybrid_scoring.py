"""The formula of the hybrid score: whole texts, skills and words.

Pure functions on arrays. docs/decisions/0012-hybrid-ranking.md has the choice of the
numbers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.ranking.skills.scoring import SAME

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class HybridWeights:
    """The weights of the parts, and the parts' parameters.

    `floor`: the similarity of two skills up to which the credit is 0. `power`: 1 is a
    linear credit, a higher one favours close matches. `saturation`, `length_share`:
    BM25's k1 and b.
    """

    cosine: float
    skills: float
    words: float
    floor: float
    power: float = 2.0
    saturation: float = 1.2
    length_share: float = 0.75


HYBRID_WEIGHTS = HybridWeights(cosine=1.0, skills=2.0, words=1.0, floor=0.2)

# The exponent of the inverse document frequency in a word's weight, as for skills.
WORD_RARITY = 0.5

# Avoids a division by zero without words.
MIN_SUM = 1e-12

# A query's skill is unknown if the most similar skill of all jobs has this similarity.
UNKNOWN = 0.5


def soft_credit(
    similarity: NDArray[np.floating], *, weights: HybridWeights = HYBRID_WEIGHTS
) -> NDArray[np.floating]:
    """From 0 at the floor to 1 for the same skill; shape and type of the input."""
    floor = weights.floor
    share = np.clip((similarity - floor) / (SAME - floor), 0, 1)
    credit: NDArray[np.floating] = share**weights.power
    return credit


def open_share(nearest: NDArray[np.floating]) -> float:
    """The share of a query that its known skills leave to its whole text, 0 to 1.

    `nearest`: (k,) the greatest similarity of each skill with any skill of the jobs. 0
    if the jobs list all of them, 1 if they list none, and for a query without skills.
    """
    if not len(nearest):
        return 1.0
    exact = nearest.astype(np.float64)
    known = np.clip((exact - UNKNOWN) / (SAME - UNKNOWN), 0, 1)
    return float(1 - known.mean())


def word_shares(frequency: Scores, *, jobs: int) -> Scores:
    """(w,) from 0 to 1 with sum 1: the weight of each word in a query's score.

    `frequency`: (w,) how often the `jobs` contain each word; a job that has it in two
    skills may count twice. Without counted `jobs` all words have equal weights.
    """
    if not jobs:
        return np.full(len(frequency), 1 / max(1, len(frequency)))
    rare = np.log(1 + jobs / (1 + frequency)) ** WORD_RARITY
    shares: Scores = rare / max(rare.sum(), MIN_SUM)
    return shares


def saturated_counts(
    counts: Scores,  # (n, w): how often each job's skills contain each word
    lengths: Scores,  # (n,): words of each job, as a multiple of the mean
    *,
    weights: HybridWeights = HYBRID_WEIGHTS,
) -> Scores:
    """(n, w) from 0 to 1: BM25's term of each word, divided by its maximum."""
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
    """(n,) from 0 to 1: BM25 divided by its maximum."""
    saturated = saturated_counts(counts, lengths, weights=weights) * shares
    # Not BLAS, whose last digits depend on the number of rows.
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
    """(n,) from 0 to 1: the weighted mean of the three parts; also for (q, n).

    The weight of the cosine is the open share; a negative cosine counts as 0.
    """
    for_cosine = weights.cosine * open_share
    total = for_cosine + weights.skills + weights.words
    scores: Scores = (
        for_cosine * np.clip(cosine, 0, 1)
        + weights.skills * skills
        + weights.words * words
    ) / total
    return scores


def cosine_share(
    open_share: float, *, weights: HybridWeights = HYBRID_WEIGHTS
) -> float:
    """The share of the cosine in the weighted mean, which rises with `open_share`."""
    for_cosine = weights.cosine * open_share
    return for_cosine / (for_cosine + weights.skills + weights.words)


def part_shares(
    cosine: Scores,
    skills: Scores,
    words: Scores,
    *,
    open_share: float,
    weights: HybridWeights = HYBRID_WEIGHTS,
) -> tuple[Scores, Scores, Scores]:
    """(n,) each: what the three parts contribute to `match_scores`."""
    for_cosine = weights.cosine * open_share
    total = for_cosine + weights.skills + weights.words
    return (
        for_cosine / total * np.clip(cosine, 0, 1),
        weights.skills / total * skills,
        weights.words / total * words,
    )
