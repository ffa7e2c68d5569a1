"""Which rows a question is about: conditions on columns, ids to leave out, a least
score, and where the page before ended. Values only; `app.storage.conditions` makes SQL
of the first, `app.ranking.top_k.bounds` obeys the others.
"""

from collections.abc import Hashable
from dataclasses import dataclass

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class AnyOf:
    """The column holds one of the values; None among them means null. No values: no
    row.
    """

    column: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class Range:
    """The column lies within all bounds: pairs of gte, gt, lte or lt and a value."""

    column: str
    bounds: tuple[tuple[str, Scalar], ...]


Condition = AnyOf | Range


@dataclass(frozen=True)
class CursorPosition:
    """A row's place in an answer: its published scores, which order it, and its id.

    `ranking_state` is what the scores rest on beside the query, where that may change
    between two pages, as the ranking wrote it; `checksum` is the cursor's, see
    `app.query.cursor`.
    """

    score: float
    second: float
    id: int | str
    ranking_state: bytes = b""
    checksum: bytes = b""


@dataclass(frozen=True)
class Constraints:
    """The rows that match every filter, have a published score of at least `min_score`,
    come after `after` in the order of the answer, and are not excluded: of these the
    answer has the best N.
    """

    filters: tuple[Condition, ...] = ()
    exclude: frozenset[int | str] = frozenset()
    min_score: float | None = None
    after: CursorPosition | None = None

    @property
    def scan_key(self) -> Hashable:
        """Questions with equal keys scan the same rows: the rest is each one's own."""
        # Not the values themselves: True == 1 == 1.0, and a column tells them apart.
        return repr(self.filters)


NO_CONSTRAINTS = Constraints()
