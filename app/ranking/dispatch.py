"""From a queue to the rankings: which ranking runs a batch, and in which lane."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol, TypeAlias

from app.batching.batcher import Batcher, BatchScope
from app.deadline import Deadline
from app.errors import AppError
from app.query.query import Query
from app.query.result import Inconclusive, Outcome, Result
from app.ranking.base import Ranking
from app.ranking.registry import RANKINGS

QueryBatcher: TypeAlias = Batcher[Query, Result | Inconclusive]


class QueryQueue(Protocol):
    """Where queries wait for their batch."""

    @property
    def waiting(self) -> int: ...

    async def ask_all(
        self, queries: Sequence[Query], deadline: Deadline
    ) -> Sequence[Outcome]: ...

    def close(self) -> None: ...


class Dispatcher:
    """Hands each batch to the ranking that its key names."""

    def __init__(self, rankings: Mapping[str, Ranking]) -> None:
        self._rankings = rankings

    def run(self, queries: Sequence[Query], scope: BatchScope) -> Sequence[Outcome]:
        """The outcome of each query; all have one key. Raises as `Ranking.rank`."""
        key = queries[0].key
        return self._rankings[key.ranking].rank(key, queries, scope)


class Lanes:
    """A fast lane for searches through an index, and one for scans.

    A search takes milliseconds: it must not wait behind a scan, nor behind a search
    that takes many times as long as most.
    """

    def __init__(self, fast: QueryQueue, scans: QueryQueue) -> None:
        self._fast = fast
        self._scans = scans

    @property
    def waiting(self) -> int:
        """Queries in both lanes."""
        return self._fast.waiting + self._scans.waiting

    async def ask_all(
        self, queries: Sequence[Query], deadline: Deadline
    ) -> Sequence[Outcome]:
        """As `Batcher.ask_all`. Several stay together in the lane of large batches."""
        if len(queries) > 1 or not _searches_index(queries[0]):
            return await self._scans.ask_all(queries, deadline)
        (query,) = queries
        shallow = replace(query, key=replace(query.key, shallow=True))
        outcomes = await self._fast.ask_all([shallow], deadline)
        if isinstance(outcomes[0], Inconclusive):
            return await self._fast.ask_all(queries, deadline)
        return outcomes

    def close(self) -> None:
        """As `Batcher.close`, both."""
        self._fast.close()
        self._scans.close()


async def ask(queue: QueryQueue, query: Query, deadline: Deadline) -> Result:
    """The result of one query. Raises its error."""
    return result_of((await queue.ask_all([query], deadline))[0])


def result_of(outcome: Outcome) -> Result:
    """The result. Raises the error that is there instead."""
    if isinstance(outcome, AppError):
        raise outcome
    # Lanes ask an inconclusive query again, and nobody else asks shallow ones.
    assert isinstance(outcome, Result)  # noqa: S101
    return outcome


def _searches_index(query: Query) -> bool:
    key = query.key
    entry = RANKINGS[key.ranking]
    return entry.uses_index and key.target == "jobs" and not key.exact
