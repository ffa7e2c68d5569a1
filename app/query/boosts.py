"""Freshness and boosts: factors of a job's score, from its columns."""

import time
from dataclasses import dataclass, replace

SECONDS_PER_HOUR = 3600

# The least factor of an old job, and the limits of a boost: the greatest changes of a
# score that a column can make.
LEAST_FRESHNESS = 0.1
LEAST_BOOST, GREATEST_BOOST = 0.1, 10.0


@dataclass(frozen=True)
class Boosts:
    """The columns that change scores, None for none.

    `freshness`: a column of dates; after `half_life_days` a score is halved. `boost`: a
    column of numbers, the factor. `hour`: the hour since 1970 to which ages are
    counted, that of the first page.
    """

    freshness: str | None = None
    half_life_days: float = 1.0
    boost: str | None = None
    hour: int = 0

    def __bool__(self) -> bool:
        return self.freshness is not None or self.boost is not None

    def at(self, hour: int) -> "Boosts":
        """The same at another time; unchanged where no age counts."""
        return self if self.freshness is None else replace(self, hour=hour)


NO_BOOSTS = Boosts()


def current_hour() -> int:
    """The last whole hour, since 1970."""
    return int(time.time() // SECONDS_PER_HOUR)
