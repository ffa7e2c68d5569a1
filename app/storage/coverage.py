"""How many rows of a table are in which state of their embedding's life."""

import time
from collections.abc import Callable
from dataclasses import dataclass, fields

from app.storage import queries
from app.storage.connection.transaction import Transaction
from app.storage.tables import EmbeddedTable

# A count is good for so long, or for a hundred times what it took: counting never
# costs the database more than a hundredth of its time.
FRESH_S = 5.0
FRESH_TIMES_COST = 100


@dataclass(frozen=True)
class Coverage:
    """Rows by state; every row is in exactly one. See docs/embeddings.md."""

    embedded: int = 0
    pending: int = 0
    stale: int = 0
    malformed: int = 0
    quarantined: int = 0
    blank: int = 0

    @property
    def total(self) -> int:
        return sum(getattr(self, field.name) for field in fields(self))

    @property
    def waiting(self) -> int:
        """Rows that a backfill would embed."""
        return self.pending + self.stale + self.malformed


def coverage(
    transaction: Transaction, table: EmbeddedTable, *, version: str
) -> Coverage:
    """Count the rows by state: one pass of the database over the table."""
    return Coverage(
        **dict(transaction.rows(table.format(queries.COVERAGE, version=version)))
    )


def count_unembedded(
    transaction: Transaction, table: EmbeddedTable, *, version: str
) -> int:
    """How many rows have a text but no sound embedding of this version, those in
    quarantine among them. A partial index answers it.
    """
    query = table.format(queries.COUNT_UNEMBEDDED, version=version)
    count: int = transaction.rows(query)[0][0]
    return count


class CachedCount:
    """A count that is asked for again only when the last answer is some seconds old.

    Several threads may ask at once; then they may count twice.
    """

    def __init__(self, count: Callable[[Transaction], int]) -> None:
        self._ask = count
        self._count = 0
        self._fresh_until = 0.0

    def __call__(self, transaction: Transaction) -> int:
        start = time.monotonic()
        if start >= self._fresh_until:
            self._count = self._ask(transaction)
            end = time.monotonic()
            self._fresh_until = end + max(FRESH_S, FRESH_TIMES_COST * (end - start))
        return self._count
