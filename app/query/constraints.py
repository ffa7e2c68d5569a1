"""Filters, and the constraints of one query: excluded ids, minimum score, cursor.

Values only. All queries of a batch share their filters, which `app.storage.conditions`
turns into SQL; `app.ranking.top_k.bounds` applies the constraints of each query.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

Scalar = str | int | float | bool | None


class _ComparedExactly:
    """Equality that respects types: True, 1 and 1.0 are different column values."""

    @cached_property
    def _digest(self) -> bytes:
        # Cached: queues compare keys under a lock, and 1,000 values take 1 ms.
        return hashlib.blake2b(repr(self).encode("utf-8", "surrogatepass")).digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ComparedExactly) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)


@dataclass(frozen=True, eq=False)
class AnyOf(_ComparedExactly):
    """The column has one of the values; None stands for null. No values: no row."""

    column: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, eq=False)
class Range(_ComparedExactly):
    """The column is within all bounds: pairs of an operator and a value.

    The operators are gte, gt, lte and lt.
    """

    column: str
    bounds: tuple[tuple[str, Scalar], ...]


@dataclass(frozen=True, eq=False)
class Unexpired(_ComparedExactly):
    """The date in the column has not passed, or there is none."""

    column: str


Condition = AnyOf | Range | Unexpired


@dataclass(frozen=True)
class CursorPosition:
    """The position of a row in the ordered answer: its published scores and its id.

    `ranking_state`: other data that the scores depend on and that may change between
    two pages, in the ranking's own format. `checksum`: that of the cursor, see
    `app.query.cursor`. `hour`: that of the boosts, 0 without.
    """

    score: float
    second: float
    id: int | str
    ranking_state: bytes = b""
    checksum: bytes = b""
    hour: int = 0


@dataclass(frozen=True)
class Constraints:
    """Per-query constraints: excluded ids, minimum published score, cursor position."""

    exclude: frozenset[int | str] = frozenset()
    min_score: float | None = None
    after: CursorPosition | None = None

    def without(self, ids: Sequence[int | str]) -> "Constraints":
        """These constraints, with more excluded ids."""
        return replace(self, exclude=self.exclude.union(ids)) if ids else self


NO_CONSTRAINTS = Constraints()
