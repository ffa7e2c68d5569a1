"""Weights of a query's skills by inverse document frequency.

A skill has more weight, the fewer jobs list it or a similar one. Without counts all
skills have equal weights.
"""

import math
from collections.abc import Sequence
from hashlib import blake2b
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from app.ranking.skills.scoring import FLOOR, RARITY, match_credit
from app.ranking.skills.vocabulary import Vocabulary
from app.storage.skill_counts import SkillCounts

# The fraction of a job to which a close match is rounded: sums of integers are exact in
# any order.
PARTS = 1 << 16

# Skills with a cached idf: 150 KB.
REMEMBERED = 1_000

# Weights sum to 1 up to rounding.
TOLERANCE = 1e-9


def query_weights(
    vocabulary: Vocabulary,
    similarities: NDArray[np.float32],  # (rows + 1, k), of `vocabulary`
    columns: Sequence[NDArray[np.intp]],
) -> list[NDArray[np.float64]]:
    """(len(columns),) for each query: the weights of its skills, with sum 1.

    Identical to the last bit, whatever the other queries.
    """
    counts = vocabulary.counts
    if counts is None or counts.jobs == 0:
        return _all_alike(columns)
    return _weights(_rarities(similarities, counts), columns)


def cached_idf_weights(
    vocabulary: Vocabulary,
    queries: NDArray[np.float32],  # (k, dimension)
    columns: Sequence[NDArray[np.intp]],
) -> list[NDArray[np.float64]]:
    """As `query_weights`, if nothing else needs the similarities.

    They are computed only for skills that are not in the cache.
    """
    counts = vocabulary.counts
    if counts is None or counts.jobs == 0:
        return _all_alike(columns)
    keys = [blake2b(row.tobytes(), digest_size=16).digest() for row in queries]
    memory = vocabulary.rarities
    known = {key: found for key in keys if (found := memory.get(key)) is not None}
    new = [n for n, key in enumerate(keys) if key not in known]
    if new:
        fresh = _rarities(vocabulary.similarities(queries[new]), counts)
        known |= zip((keys[n] for n in new), fresh, strict=True)
        if len(memory) + len(new) > REMEMBERED:
            memory.clear()
        memory.update(islice(known.items(), REMEMBERED))
    return _weights([known[key] for key in keys], columns)


def multiplied(
    weights: NDArray[np.float64], factors: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(k,): the weights with other proportions, and again with sum 1."""
    if (factors == 1).all():
        return weights
    product = weights * factors
    shares: NDArray[np.float64] = product / math.fsum(product.tolist())
    return shares


def are_weights(values: NDArray[np.float64], count: int) -> bool:
    """Whether these are valid weights of `count` skills."""
    if len(values) != count:
        return False
    return bool((values >= 0).all() and abs(values.sum() - 1) < TOLERANCE)


def _all_alike(
    columns: Sequence[NDArray[np.intp]],
) -> list[NDArray[np.float64]]:
    return [np.full(len(own), 1 / len(own)) for own in columns]


def _weights(
    rarities: Sequence[float], columns: Sequence[NDArray[np.intp]]
) -> list[NDArray[np.float64]]:
    return [_shares([rarities[column] for column in own.tolist()]) for own in columns]


def _rarities(similarities: NDArray[np.float32], counts: SkillCounts) -> list[float]:
    """The rarity of each column, independent of the other columns."""
    return [_rarity(f, counts.jobs) for f in _frequencies(similarities, counts)]


def _frequencies(similarities: NDArray[np.float32], counts: SkillCounts) -> list[float]:
    """The number of jobs that list each skill, with close matches in part.

    So a skill that is not in the vocabulary is as frequent as its relatives.
    """
    counted = similarities[:-1][: len(counts.listed)]
    skill, column = np.nonzero(counted > FLOOR)
    parts = np.rint(match_credit(counted[skill, column]) * PARTS)
    jobs = parts.astype(np.float64) * counts.listed[skill]
    sums = np.bincount(column, weights=jobs, minlength=similarities.shape[1])
    found: list[float] = (sums / PARTS).tolist()
    return found


def _rarity(frequency: float, jobs: int) -> float:
    """A power of the inverse document frequency (Sparck Jones, 1972), never 0."""
    return math.pow(math.log(1 + jobs / (1 + frequency)), RARITY)


def _shares(rarities: Sequence[float]) -> NDArray[np.float64]:
    return np.array(rarities) / math.fsum(rarities)
