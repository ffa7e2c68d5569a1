"""Assign each batch to its ranking, and each request to its lane."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from app.batching.batcher import Batcher, BatchScope
from app.deadline import Deadline
from app.errors import AppError
from app.query.query import Query
from app.query.result import Outcome, Result
from app.ranking.base import Ranking
from app.ranking.registry import RANKINGS
from app.ranking.relevance import with_reason, with_relevance

QueryBatcher: TypeAlias = Batcher[Query, Result]


class QueryQueue(Protocol):
    """The queue in which queries wait for their batch."""

    @property
    def waiting(self) -> int: ...

    async def ask_all(
        self, queries: Sequence[Query], deadline: Deadline
    ) -> Sequence[Outcome]: ...

    def close(self) -> None: ...


class Dispatcher:
    """Hands each batch to the ranking that its key names, and says what the scores of
    jobs for a profile are worth.

    `fallback` ranks for users of whom nothing is known; without, they get no jobs.
    """

    def __init__(
        self, rankings: Mapping[str, Ranking], *, fallback: Ranking | None = None
    ) -> None:
        self._rankings = rankings
        self._fallback = fallback

    def run(self, queries: Sequence[Query], scope: BatchScope) -> Sequence[Outcome]:
        """The outcome of each query; all have one key. Raises as `Ranking.rank`."""
        key = queries[0].key
        outcomes = self._rankings[key.ranking].rank(key, queries, scope)
        if key.explain_only or key.source == "job":
            return outcomes
        outcomes = self._with_fallback(queries, outcomes, scope)
        entry = RANKINGS[key.ranking]
        return [
            with_relevance(
                with_reason(outcome, query), query, entry.thresholds, rise=entry.rise
            )
            if isinstance(outcome, Result)
            else outcome
            for query, outcome in zip(queries, outcomes, strict=True)
        ]

    def _with_fallback(
        self, queries: Sequence[Query], outcomes: Sequence[Outcome], scope: BatchScope
    ) -> Sequence[Outcome]:
        """With the results of the fallback for users without a profile. It has no
        scores, and so no result for a query with a minimum.
        """
        unknown = [
            n
            for n, (query, outcome) in enumerate(zip(queries, outcomes, strict=True))
            if isinstance(outcome, Result)
            and outcome.lacks_profile
            and query.source_id is not None
            and query.constraints.min_score is None
        ]
        if self._fallback is None or not unknown:
            return outcomes
        key = queries[0].key
        found = self._fallback.rank(key, [queries[n] for n in unknown], scope)
        by_number = dict(zip(unknown, found, strict=True))
        return [by_number.get(n, outcome) for n, outcome in enumerate(outcomes)]


async def ask(queue: QueryQueue, query: Query, deadline: Deadline) -> Result:
    """The result of one query. Raises its error."""
    return result_of((await queue.ask_all([query], deadline))[0])


def result_of(outcome: Outcome) -> Result:
    """The result. Raises the error if the outcome is one."""
    if isinstance(outcome, AppError):
        raise outcome
    return outcome


def searches_index(queries: Sequence[Query]) -> bool:
    """Whether a request is a single search that may use an index.

    Such a search takes milliseconds and must not wait behind a scan. Several queries of
    a request stay together, because large batches are efficient.
    """
    key = queries[0].key
    is_indexed = RANKINGS[key.ranking].uses_index and key.target == "jobs"
    return len(queries) == 1 and is_indexed and not key.exact
