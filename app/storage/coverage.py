"""Counts of rows by the state of their embedding."""

import time
from collections.abc import Callable
from dataclasses import dataclass, fields

from psycopg2.sql import Composed

from app.storage.connection.transaction import Transaction
from app.storage.entity import EntityName, EntityTable, own_names
from app.storage.sql import load

QUERIES = load("states")

# A count is valid for this time, or for a hundred times its duration: counting never
# takes more than a hundredth of the database's time.
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


def coverage(transaction: Transaction, table: EntityTable) -> Coverage:
    """Count the rows by state, from the service's narrow table.

    Users without a text have no state; their number is the estimate of the statistics.
    """
    noted = table.format(QUERIES["noted"])
    counts = dict(transaction.rows(table.format(QUERIES["coverage"], noted=noted)))
    if table.name == "users":
        counts["blank"] = _count(transaction, table, "count_users_without_text")
    return Coverage(**counts)


def count_unembedded(transaction: Transaction, table: EntityTable) -> int:
    """Count rows with a text but no valid embedding, including quarantined ones.

    Uses a partial index.
    """
    return _count(transaction, table, "count_unembedded")


def count_unsplit(transaction: Transaction, table: EntityTable) -> int:
    """Count rows with a text but no skill ids, by the same index. One statement, or
    none after `unsplit_ahead`.
    """
    found = transaction.row(_counting(table, "count_unsplit"))
    assert found is not None  # noqa: S101  (a count)
    return int(found["count"])


def unsplit_ahead(transaction: Transaction, table: EntityTable) -> None:
    """Send the statement of `count_unsplit` with the next one."""
    transaction.ahead(_counting(table, "count_unsplit"))


def count_waiting(transaction: Transaction, table: EntityTable) -> int:
    """Count the rows that a backfill would claim, by the same index."""
    return _count(transaction, table, "count_waiting")


def any_waiting(transaction: Transaction, name: EntityName) -> bool:
    """Whether a backfill would claim any row, by the same index. Asked once a second,
    so the catalogue is not read for it.
    """
    query = QUERIES["any_waiting"].format(**own_names(name))
    return bool(transaction.rows(query)[0][0])


def forget_deleted(transaction: Transaction, *, age_s: float) -> None:
    """Delete the states of jobs that were deleted at least `age_s` seconds ago."""
    transaction.execute(QUERIES["forget_deleted"], {"age_s": age_s})


def adopt(transaction: Transaction) -> None:
    """Detect whether this database is a copy of another one.

    A copy gets a new identity, so that caches and replicas of the original do not apply
    to it.
    """
    transaction.rows(QUERIES["adopt"])


def database_id(transaction: Transaction) -> str:
    """Tells this database from others, and from copies of it on one server."""
    id_: str = transaction.rows(QUERIES["database_id"])[0][0]
    return id_


def _count(transaction: Transaction, table: EntityTable, query: str) -> int:
    count: int = transaction.rows(_counting(table, query))[0][0]
    return count


def _counting(table: EntityTable, query: str) -> Composed:
    return table.format(QUERIES[query], noted=table.format(QUERIES["noted"]))


def fresh_for_s(cost_s: float) -> float:
    """How long a count is valid that took `cost_s` seconds."""
    return max(FRESH_S, FRESH_TIMES_COST * cost_s)


class CachedCount:
    """A count that is refreshed only some seconds after the last one.

    Concurrent threads may both count.
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
            self._fresh_until = end + fresh_for_s(end - start)
        return self._count
