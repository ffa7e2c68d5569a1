"""How much each of a query's skills counts: the more, the fewer jobs list it or one
like it. The counts are statistics; without any, all skills count alike.
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

# Parts of a job that a near match is rounded to: sums of whole numbers are exact, in
# whatever order they are added.
PARTS = 1 << 16

# Skills whose idf is kept: 150 KB.
REMEMBERED = 1_000

# Shares add up to 1 but for rounding.
TOLERANCE = 1e-9


def query_weights(
    vocabulary: Vocabulary,
    similarities: NDArray[np.float32],  # (rows + 1, k), of `vocabulary`
    columns: Sequence[NDArray[np.intp]],
) -> list[NDArray[np.float64]]:
    """For each query, whose skills are some of the columns: (len(its columns),), whose
    sum is 1. The same to the last bit whoever else asks.
    """
    counts = vocabulary.counts
    if counts is None or counts.jobs == 0:
        return _all_alike(columns)
    return _weights(_rarities(similarities, counts), columns)


def cached_idf_weights(
    vocabulary: Vocabulary,
    queries: NDArray[np.float32],  # (k, 384)
    columns: Sequence[NDArray[np.intp]],
) -> list[NDArray[np.float64]]:
    """As `query_weights`, where nothing else needs the similarities: they are computed
    for those skills only that nobody asked for lately.
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


def to_bytes(state: NDArray[np.float64]) -> bytes:
    """The weights of one query, for the next page to go on with."""
    return state.astype("<f8").tobytes()


def from_bytes(data: bytes) -> NDArray[np.float64] | None:
    """What `to_bytes` was given, or None if that cannot be."""
    return np.frombuffer(data, "<f8") if len(data) % 8 == 0 else None


def are_weights(values: NDArray[np.float64], count: int) -> bool:
    """Whether these can be so many weights: shares of 1."""
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
    """Of each column, whatever other columns there are."""
    return [_rarity(f, counts.jobs) for f in _frequencies(similarities, counts)]


def _frequencies(similarities: NDArray[np.float32], counts: SkillCounts) -> list[float]:
    """How many jobs list each skill, those with a near match in part: a skill that the
    vocabulary does not have is as frequent as its relatives.
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
