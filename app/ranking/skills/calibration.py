"""The similarities of a model on the scale of the guide's, which all thresholds use."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.query.result import Thresholds


@dataclass(frozen=True)
class Scale:
    """Maps similarities of a model to those of the guide's: linear between knots.

    `own`, `guides`: ascending, and 1 last in both; none for the guide's model. It keeps
    the order of similarities.
    """

    own: Sequence[float] = ()
    guides: Sequence[float] = ()

    @property
    def slope(self) -> float:
        """What errors of similarities are multiplied by, at most."""
        return float(self._slopes.max(initial=0.0)) if self.own else 1.0

    @property
    def _slopes(self) -> NDArray[np.float64]:
        slopes: NDArray[np.float64] = np.diff(self.guides) / np.diff(self.own)
        return slopes

    def of(self, similarities: NDArray[np.floating]) -> NDArray[np.floating]:
        """Of the same shape and type; the same digits for any other similarities."""
        if not self.own:
            return similarities
        found = np.interp(similarities, self.own, self.guides)
        # Beyond the ends the lines go on.
        first, last = self._slopes[[0, -1]]
        found += first * np.minimum(similarities - self.own[0], 0)
        found += last * np.maximum(similarities - self.own[-1], 0)
        as_given: NDArray[np.floating] = found.astype(similarities.dtype)
        return as_given


UNSCALED = Scale()


@dataclass(frozen=True)
class Calibration:
    """What is stored with a model: the scales of single skills and of whole texts, and
    what scores are worth, by the name of the ranking.
    """

    skills: Scale = UNSCALED
    texts: Scale = UNSCALED
    thresholds: Mapping[str, Thresholds] = field(default_factory=dict)
    # As stored; None for the guide's model, and for one that was not calibrated.
    stored: str | None = None

    @classmethod
    def of_json(cls, stored: str | None) -> "Calibration":
        """The mirror of `to_json`."""
        if stored is None:
            return UNCALIBRATED
        found = json.loads(stored)
        thresholds = {
            ranking: Thresholds(*least)
            for ranking, least in found["thresholds"].items()
        }
        skills, texts = (Scale(*found[name]) for name in ("skills", "texts"))
        return cls(skills, texts, thresholds, stored)

    def to_json(self) -> str:
        """As it is stored."""
        return json.dumps(
            {
                "skills": [self.skills.own, self.skills.guides],
                "texts": [self.texts.own, self.texts.guides],
                "thresholds": {
                    ranking: [least.possible, least.strong]
                    for ranking, least in self.thresholds.items()
                },
            }
        )


UNCALIBRATED = Calibration()
