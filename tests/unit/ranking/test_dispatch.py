"""Which lane a query waits in, and how an inconclusive one comes again."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest

from app.batching.batcher import Batcher, BatchScope
from app.deadline import Deadline
from app.errors import UserNotFoundError
from app.query.query import BatchKey, Query
from app.query.result import Inconclusive, Outcome, Result, Timings
from app.ranking import dispatch
from app.ranking.dispatch import Dispatcher, Lanes, QueryBatcher, result_of
from tests.support.queries import job_query, profile_query
from tests.support.ranking import SCOPE

DEADLINE = Deadline.after(60)

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


class NamedRanking:
    """Answers with its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[tuple[BatchKey, Sequence[Query], BatchScope]] = []

    def rank(
        self, key: BatchKey, queries: Sequence[Query], scope: BatchScope
    ) -> list[Outcome]:
        self.asked.append((key, queries, scope))
        return [replace(result_for(query), message=self.name) for query in queries]


def test_a_batch_goes_to_the_ranking_that_its_key_names() -> None:
    rankings = {name: NamedRanking(name) for name in ("similarity", "skills")}
    dispatcher = Dispatcher(rankings)
    for name, other in (("similarity", "skills"), ("skills", "similarity")):
        asked = [profile_query(1, text="a", ranking=name), profile_query(2, text="b")]
        outcomes = dispatcher.run(asked, SCOPE)
        assert [result_of(each).message for each in outcomes] == [name, name]
        assert rankings[name].asked == [(asked[0].key, asked, SCOPE)]
        assert len(rankings[other].asked) <= 1


def test_one_query_gives_its_result_or_raises_its_error() -> None:
    class Queue:
        waiting = 2
        closed = False

        async def ask_all(
            self, queries: Sequence[Query], deadline: Deadline
        ) -> list[Outcome]:
            assert deadline == DEADLINE
            known = [query for query in queries if query.source_id is None]
            if not known:
                return [UserNotFoundError("No user has this user_id.")]
            return [result_for(query) for query in known]

        def close(self) -> None:
            self.closed = True

    queue = Queue()
    found = asyncio.run(dispatch.ask(queue, profile_query(3, text="a"), DEADLINE))
    assert found == result_for(profile_query(3, text="a"))
    with pytest.raises(UserNotFoundError, match="No user has this"):
        asyncio.run(dispatch.ask(queue, profile_query(3, user_id=9), DEADLINE))

    scans = Queue()
    scans.waiting = 3
    lanes = Lanes(queue, scans)
    assert lanes.waiting == 5
    lanes.close()
    assert queue.closed
    assert scans.closed
