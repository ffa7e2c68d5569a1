"""The similarities of a model on the scale of the guide's, for which thresholds are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The median cosine of random pairs of skills by all-MiniLM-L6-v2: 0.0975 among 600
# skills of samples/jobs.csv. multilingual-e5-small has 0.80.
GUIDES_MEDIAN = 0.0975


@dataclass(frozen=True)
class Calibration:
    """Maps the median of random pairs to the guide's, and 1 to 1.

    `median`: of the model, as stored by `switch_model.py`; None for the guide's model,
    and for one that was not calibrated. It keeps the order of similarities.
    """

    median: float | None = None

    @property
    def slope(self) -> float:
        """What errors of similarities are multiplied by."""
        if self.median is None:
            return 1.0
        return (1 - GUIDES_MEDIAN) / (1 - self.median)

    def of(self, similarities: NDArray[np.floating]) -> NDArray[np.floating]:
        """Of the same shape and type; the same digits for any other similarities."""
        if self.median is None:
            return similarities
        slope = similarities.dtype.type(self.slope)
        found: NDArray[np.floating] = 1 - (1 - similarities) * slope
        return found


UNCALIBRATED = Calibration()
