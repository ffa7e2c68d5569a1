"""Variety: how many jobs of a page may share a value, and how different they are."""

import re
from dataclasses import dataclass

# The greatest top_n with a diversity: more jobs would be chosen from the same window.
MAX_DIVERSE = 100
LIMIT = re.compile(r"\s*(.+?)\s*:\s*([1-9][0-9]{0,2})\s*", re.ASCII)


@dataclass(frozen=True)
class Variety:
    """`max_per`: pairs of a column and how many jobs may have the same value in it, on
    all pages together. `diversity`: 0 orders by score, 1 by difference alone.
    """

    max_per: tuple[tuple[str, int], ...] = ()
    diversity: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.max_per) or self.diversity > 0


NO_VARIETY = Variety()


def read_max_per(text: str) -> tuple[tuple[str, int], ...]:
    """Parse `column:2, other:3`, in the order of the columns. Raises ValueError.

    >>> read_max_per("location:3, company:2")
    (('company', 2), ('location', 3))
    """
    found = [LIMIT.fullmatch(item) for item in text.split(",") if item.strip()]
    pairs = [(match[1], int(match[2])) for match in found if match]
    if len(pairs) < len(found) or len(dict(pairs)) < len(pairs):
        raise ValueError("it has pairs such as company:2, each column once")
    return tuple(sorted(pairs))
