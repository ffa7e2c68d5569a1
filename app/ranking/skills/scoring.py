"""The match credit of a similarity, and the length penalty.

The numbers come from `make eval`; docs/skills.md has the reasons and figures.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

# Below this similarity two skills are unrelated and earn no credit: chosen on the
# development half of the paraphrased ESCO profiles for the best recall@1.
FLOOR = 0.6

# From this similarity on a skill counts as matched: 63 % of paraphrases reach it, 21 %
# of the most similar skills that are not paraphrases, 0.02 % of random pairs.
MATCHED = 0.8

# The similarity of a skill with itself is 1 only to about 1e-7. From this value on the
# credit is 1, or rounding would order jobs with the same skills.
SAME = 0.99999

# The slope of `match_credit`.
STEEPNESS = 1 / (SAME - FLOOR)

# A job that lists one skill more than the user keeps 1 / 1.15 of its score; each
# doubling adds as much to the penalty. Otherwise a list of everything fits everyone.
LENGTH_PENALTY = 0.15

# The exponent of the inverse document frequency in a skill's weight: 0 gives equal
# weights, 1 lets the rarest skills dominate.
RARITY = 0.5

Float = TypeVar("Float", np.float32, np.float64)


def match_credit(similarity: NDArray[Float]) -> NDArray[Float]:
    """From 0 at FLOOR to 1 for the same skill.

    About the probability, among similar skills, that one can replace the other.
    """
    credit: NDArray[Float] = np.clip((similarity - FLOOR) * STEEPNESS, 0, 1)
    return credit


def discounts(asked: int, *, length_penalty: float, sizes: int) -> NDArray[np.float64]:
    """(sizes + 1,): the factor of a row's score, by the number of skills it lists.

    1 for a list that is not longer than `asked`, the number of skills in the query.
    """
    surplus = np.maximum(np.arange(sizes + 1) - asked, 0)
    left: NDArray[np.float64] = 1 / (1 + length_penalty * np.log2(1 + surplus))
    return left


def weighted(
    worths: NDArray[np.float64],  # (n, k)
    weights: NDArray[np.float64],  # (k,)
) -> NDArray[np.float64]:
    """(n,): the weighted mean of each row, independent of the number of rows."""
    # Not BLAS, whose last digits depend on the number of rows.
    mean: NDArray[np.float64] = np.ascontiguousarray(worths * weights).sum(axis=1)
    return mean


def approximate_sums(
    weights: NDArray[np.float32],  # (q, k), finite
    values: NDArray[np.float32],  # (n, k), finite
) -> NDArray[np.float32]:
    """(q, n): the weighted sums of each row, up to rounding, by BLAS.

    For one query (or one row) and five columns OpenBLAS 0.3.31 uses an AVX-512 kernel
    (sgemv_kernel_t_5) that also adds three values of its stack that it never wrote, and
    drops their sum: the result is right, but NumPy reports an invalid value.
    """
    with np.errstate(invalid="ignore"):
        sums: NDArray[np.float32] = weights @ values.T
    return sums
