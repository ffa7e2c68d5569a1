"""The factors of rows' scores, by freshness and boosts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.storage.copy.factors import FactorChunk


class RowFactors:
    """The factor of each row, by its id in the stream; 1 for others."""

    def __init__(self, chunks: Sequence[FactorChunk]) -> None:
        ids = np.concatenate([chunk.ids for chunk in chunks])
        factors = np.concatenate([chunk.factors for chunk in chunks])
        order = np.argsort(ids, kind="stable")
        self._ids, self._factors = ids[order], factors[order]
        self.greatest = float(factors.max(initial=1.0))

    def of(self, ids: NDArray[Any]) -> NDArray[np.float64]:
        """(n,): the factors of rows with these ids."""
        place = np.searchsorted(self._ids, ids)
        place[place == len(self._ids)] = 0
        found: NDArray[np.float64] = np.where(
            self._ids[place] == ids, self._factors[place], 1.0
        )
        return found


def boosted(
    scores: NDArray[np.floating], factors: NDArray[np.floating]
) -> NDArray[np.floating]:
    """The scores after boosts, also for (q, n) scores of (n,) rows, NaN unchanged.

    A score below 0 is unchanged as well: a small factor must not raise it.
    """
    raised: NDArray[np.floating] = np.where(scores > 0, scores * factors, scores)
    return raised
