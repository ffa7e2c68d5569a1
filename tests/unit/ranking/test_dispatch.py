"""Which lane a query waits in, and how an inconclusive one comes again."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest

from app.batching.batcher import Batcher, BatchScope
from app.deadline import Deadline
from app.query.query import Query
from app.query.result import Inconclusive, Outcome, Result, Timings
from app.ranking.dispatch import Lanes, QueryBatcher
from tests.support.queries import job_query, profile_query

SIMILAR_TO_MANY = job_query(3, "one of hundreds of equal texts")
FITTING_MANY = profile_query(1, text="a text that hundreds of jobs have")
INCONCLUSIVE = (FITTING_MANY, SIMILAR_TO_MANY)
PLAIN = profile_query(2, text="another")


def result_for(query: Query) -> Result:
    return Result((), query.top_k, Timings(0.0, 0.0))


def as_shallow(query: Query) -> Query:
    return replace(query, key=replace(query.key, shallow=True))


class Service:
    """Takes its time for inconclusive queries: until `go_on` is set."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.batches: list[Sequence[Query]] = []

    def run(self, queries: Sequence[Query], _: BatchScope) -> list[Outcome]:
        self.batches.append(queries)
        return [self._one(query) for query in queries]

    def _one(self, query: Query) -> Outcome:
        if query in map(as_shallow, INCONCLUSIVE):
            return Inconclusive()
        if query in INCONCLUSIVE:
            assert self.go_on.wait(10)
        return result_for(query)


def two_lanes(service: Service, stack: ExitStack, *, fast: int = 1) -> Lanes:
    return Lanes(lane(service, stack, threads=fast), lane(service, stack))


def lane(service: Service, stack: ExitStack, *, threads: int = 1) -> QueryBatcher:
    batcher: QueryBatcher = Batcher(service.run, threads=threads)
    return stack.enter_context(closing(batcher))


@pytest.mark.parametrize("long", INCONCLUSIVE, ids=["user", "similar jobs"])
def test_who_shares_a_batch_with_a_long_search_does_not_wait_for_it(
    long: Query,
) -> None:
    service = Service()

    async def ask() -> list[Outcome]:
        deadline = Deadline.after(10)
        inconclusive = asyncio.create_task(lanes.ask_all([long], deadline))
        plain = await lanes.ask_all([PLAIN], deadline)
        assert not inconclusive.done()
        service.go_on.set()
        return [*await inconclusive, *plain]

    with ExitStack() as stack:
        lanes = two_lanes(service, stack, fast=2)
        outcomes = asyncio.run(ask())
    assert outcomes == [result_for(long), result_for(PLAIN)]
    assert service.batches[-1] == [long]


def test_several_queries_of_a_request_stay_together_and_take_their_time() -> None:
    service = Service()
    service.go_on.set()
    asked = [FITTING_MANY, PLAIN]
    with ExitStack() as stack:
        lanes = two_lanes(service, stack)
        outcomes = asyncio.run(lanes.ask_all(asked, Deadline.after(10)))
    assert outcomes == [result_for(FITTING_MANY), result_for(PLAIN)]
    assert service.batches == [asked]


@pytest.mark.parametrize(
    "query",
    [
        profile_query(1, text="a", exact=True),
        profile_query(1, text="a", ranking="skills"),
        job_query(1, 7, target="users"),
    ],
    ids=["exact", "skills", "users"],
)
def test_what_no_index_answers_waits_in_the_lane_of_scans(query: Query) -> None:
    fast, scans = Service(), Service()
    with ExitStack() as stack:
        lanes = Lanes(lane(fast, stack), lane(scans, stack))
        asyncio.run(lanes.ask_all([query], Deadline.after(10)))
    assert (fast.batches, scans.batches) == ([], [[query]])
