"""Measures of ranking quality."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]

# Scores nearer than this are equal, as in published answers.
DECIMALS = 6
FIRST_PAGE = 10


@dataclass(frozen=True)
class Ranked:
    """Scores of all rows for one question, highest best.

    `seconds` orders equal scores, then the row's place does.
    """

    scores: Scores
    seconds: Scores | None = None


@dataclass(frozen=True)
class Quality:
    """One value per question, each (n,).

    `rank`: of the first right row, from 1. `precision10`: the share of right ones among
    ten.
    `average_precision` and `r_precision` (RP@10: right ones among the first ten, by
    the most that could be): for questions with several right rows.
    """

    rank: NDArray[np.int64]
    precision10: Scores
    average_precision: Scores
    r_precision10: Scores

    def recall(self, within: int) -> Scores:
        """(n,): 1 where a right row is among the first `within`."""
        return (self.rank <= within).astype(np.float64)

    def values(self, metric: str) -> Scores:
        """(n,) of a metric by its name in the tables."""
        if metric.startswith("R@"):
            return self.recall(int(metric.removeprefix("R@")))
        return {
            "MRR": 1 / self.rank,
            "P@10": self.precision10,
            "MAP": self.average_precision,
            "RP@10": self.r_precision10,
        }[metric]


def quality(ranked: Iterable[Ranked], right: Sequence[NDArray[np.intp]]) -> Quality:
    """Measure the ranking of each query against its right rows."""
    rows = [_measured(found, rows) for found, rows in zip(ranked, right, strict=True)]
    rank, precision, average, r_precision = zip(*rows, strict=True)
    return Quality(
        np.array(rank),
        np.array(precision),
        np.array(average),
        np.array(r_precision),
    )


def _measured(
    found: Ranked, right: NDArray[np.intp]
) -> tuple[int, float, float, float]:
    first = np.round(found.scores, DECIMALS)
    second = np.zeros(len(first))
    if found.seconds is not None:
        second = np.round(found.seconds, DECIMALS)
    order = np.lexsort((np.arange(len(first)), -second, -first))
    is_right = np.zeros(len(first), bool)
    is_right[right] = True
    hits = is_right[order]
    places = np.flatnonzero(hits) + 1
    among = int(hits[:FIRST_PAGE].sum())
    return (
        int(places[0]),
        among / FIRST_PAGE,
        float((np.arange(1, len(places) + 1) / places).mean()),
        among / min(FIRST_PAGE, len(places)),
    )
