"""Which rows a query is about: filters, excluded ids, minimum score, cursor position.

Values only: `app.storage.conditions` makes SQL of the filters, which the queries of a
batch share; `app.ranking.top_k.bounds` obeys the rest, which is each query's own.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

Scalar = str | int | float | bool | None


class _ComparedExactly:
    """Equal only where the values are of one type: True == 1 == 1.0 elsewhere, and a
    column tells them apart.
    """

    @cached_property
    def _digest(self) -> bytes:
        # Made once: queues compare keys in a lock, and a thousand values take 1 ms.
        return hashlib.blake2b(repr(self).encode("utf-8", "surrogatepass")).digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ComparedExactly) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)


@dataclass(frozen=True, eq=False)
class AnyOf(_ComparedExactly):
    """The column holds one of the values; None among them means null. No values: no
    row.
    """

    column: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, eq=False)
class Range(_ComparedExactly):
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
    """Per-query constraints: excluded ids, minimum published score, cursor position."""

    exclude: frozenset[int | str] = frozenset()
    min_score: float | None = None
    after: CursorPosition | None = None


NO_CONSTRAINTS = Constraints()
