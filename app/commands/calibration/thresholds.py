"""What the scores of a ranking by a model are worth."""

import numpy as np
from numpy.typing import NDArray

from app.query.result import Thresholds

# Fewer hits tell too little.
FEWEST_HITS = 50
# The share of right hits from a threshold on (app.query.result.Thresholds).
RIGHT_OF_STRONG, RIGHT_OF_POSSIBLE = 2 / 3, 1 / 2

HitScores = NDArray[np.float64]


def labelled_thresholds(
    scores: HitScores, right: NDArray[np.bool_]
) -> Thresholds | None:
    """By labels: the least scores from which on enough hits are right. None of too few
    hits, and where no score is enough.
    """
    if len(scores) < FEWEST_HITS:
        return None
    order = np.argsort(-scores, kind="stable")
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    # A share counts where all hits of this score are in.
    is_last = np.append(np.diff(scores[order]) != 0, True)

    def least(share: float) -> float | None:
        enough = np.flatnonzero(is_last & (shares >= share))
        return float(scores[order[enough[-1]]]) if len(enough) else None

    return _sound(least(RIGHT_OF_POSSIBLE), least(RIGHT_OF_STRONG))


def shared_thresholds(
    scores: HitScores, others: HitScores, of_others: Thresholds
) -> Thresholds | None:
    """Without labels: the same shares of hits are possible and strong as by another
    model, for the same questions. None of too few hits.
    """
    if min(len(scores), len(others)) < FEWEST_HITS:
        return None
    possible, strong = (
        float(np.quantile(scores, (others < least).mean()))
        for least in (of_others.possible, of_others.strong)
    )
    return _sound(possible, strong)


def _sound(possible: float | None, strong: float | None) -> Thresholds | None:
    if possible is None or strong is None:
        return None
    if not 0 < possible < strong < 1:
        return None
    return Thresholds(round(possible, 6), round(strong, 6))
