"""Match credit of a similarity, and what a long list costs.

The numbers come from `make eval`; docs/skills.md has the reasons and the figures.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

# Below it two skills have nothing to do with one another, and count nothing: chosen
# on one half of the paraphrased ESCO profiles for the best recall@1.
FLOOR = 0.6

# From here on one skill is taken for another: of paraphrases of a skill 63 % reach
# it, of the most similar skills that are no paraphrases 21 %, of random ones 0.02 %.
MATCHED = 0.8

# A skill is itself to about 1e-7 only: from here on it counts whole, or rounding would
# decide between jobs that have the same of the user's skills.
SAME = 0.99999

# The steepest rise of `match_credit`: errors of similarities grow by at most this.
STEEPNESS = 1 / (SAME - FLOOR)

# A job that lists one skill more than the user keeps 1 / 1.15 of its score, and each
# doubling beyond takes as much again: a list of everything fits everyone a little.
LENGTH_PENALTY = 0.15

# A user's skill counts by this power of its inverse document frequency: 0 would be all
# alike, 1 lets what hardly any job lists decide alone.
RARITY = 0.5

Float = TypeVar("Float", np.float32, np.float64)


def match_credit(similarity: NDArray[Float]) -> NDArray[Float]:
    """From 0 at FLOOR to 1 for the same skill: about the probability, among skills
    that look alike, that one does for the other.
    """
    credit: NDArray[Float] = np.clip((similarity - FLOOR) * STEEPNESS, 0, 1)
    return credit


def discounts(asked: int, *, length_penalty: float, sizes: int) -> NDArray[np.float64]:
    """(sizes + 1,): what is left of the score of a row that lists so many skills when
    `asked` are looked for. 1 for a list that is no longer than that.
    """
    surplus = np.maximum(np.arange(sizes + 1) - asked, 0)
    left: NDArray[np.float64] = 1 / (1 + length_penalty * np.log2(1 + surplus))
    return left


def weighted(
    worths: NDArray[np.float64],  # (n, k)
    weights: NDArray[np.float64],  # (k,)
) -> NDArray[np.float64]:
    """(n,): the weighted mean of each row, the same digits for one row and for many."""
    # Not by BLAS, whose last digit depends on the number of rows.
    mean: NDArray[np.float64] = np.ascontiguousarray(worths * weights).sum(axis=1)
    return mean
