"""Shares of the queue: cheap requests do not wait for expensive ones."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from app.batching.cost import Cost
from app.batching.fair_queue import FairQueue
from app.batching.pending import PendingRequest
from app.deadline import Deadline
from app.errors import QueueFullError


@dataclass(frozen=True)
class Asked:
    text: str
    key: int = 0


Request = PendingRequest[Asked, str]


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def request(
    loop: asyncio.AbstractEventLoop,
    caller: str,
    *,
    queries: int = 1,
    encodings: int = 0,
    key: int = 0,
) -> Request:
    asked = [Asked(caller, key)] * queries
    cost = Cost(queries, encodings)
    return PendingRequest(asked, Deadline.after(60), loop, caller, cost)


def queue(most: int = 256, encodings: int | None = None) -> FairQueue[Asked, str]:
    return FairQueue(max_queries=most, max_encodings=encodings)


def taken(waiting: FairQueue[Asked, str], most: int = 64) -> list[str]:
    """The callers of the next batch."""
    group = waiting.take(max_queries=most, max_encodings=64)
    return [str(each.caller) for each in group]


def test_f124_one_query_comes_before_the_second_batch_of_each_other(
    loop: asyncio.AbstractEventLoop,
) -> None:
    waiting = queue(most=2000)
    for _ in range(3):
        for caller in "abcdefgh":
            waiting.push(request(loop, caller, queries=64))
    assert taken(waiting) == ["a"]
    waiting.push(request(loop, "me"))
    # Seven others came before it, none of whom has been served yet.
    order = [taken(waiting)[0] for _ in range(9)]
    assert order.index("me") <= 7
    assert sorted(order[:8]) == sorted([*"bcdefgh", "me"])


def test_f124_beside_callers_who_are_served_all_the_time_a_new_one_is_next(
    loop: asyncio.AbstractEventLoop,
) -> None:
    waiting = queue(most=2000)
    for caller in "abcd":
        waiting.push(request(loop, caller, queries=64))
    # Each asks again when it was answered, as a loop does.
    for _ in range(20):
        (served,) = taken(waiting)
        waiting.push(request(loop, served, queries=64))
    waiting.push(request(loop, "me"))
    found = [taken(waiting)[0] for _ in range(5)]
    assert found.index("me") <= 4


def test_f124_encodings_count_for_the_turn_as_queries_do(
    loop: asyncio.AbstractEventLoop,
) -> None:
    waiting = queue()
    waiting.push(request(loop, "much", encodings=64))
    waiting.push(request(loop, "much", encodings=64))
    for _ in range(10):
        waiting.push(request(loop, "little", encodings=1))
    assert taken(waiting) == ["much"]
    assert taken(waiting) == ["little"] * 10


def test_f124_a_batch_has_so_many_encodings_and_others_join_it(
    loop: asyncio.AbstractEventLoop,
) -> None:
    waiting = queue()
    for caller in "abc":
        waiting.push(request(loop, caller, encodings=40))
    waiting.push(request(loop, "me"))
    assert taken(waiting) == ["a", "me"]
    assert taken(waiting) == ["b"]


@pytest.mark.parametrize(
    ("queries", "encodings"),
    [pytest.param(64, 0, id="batches"), pytest.param(1, 64, id="new skills")],
)
def test_f124_a_full_queue_has_room_for_who_holds_less(
    loop: asyncio.AbstractEventLoop, queries: int, encodings: int
) -> None:
    waiting = queue(most=256, encodings=256)
    dear = {"queries": queries, "encodings": encodings}
    held = [request(loop, caller, **dear) for caller in "aabb"]
    for each in held:
        waiting.push(each)
    evicted = waiting.push(request(loop, "me", encodings=min(encodings, 1)))
    assert len(evicted) == 1
    # The last one of a caller who holds the most.
    assert evicted[0] in (held[1], held[3])
    assert not evicted[0].waits


def test_f124_who_holds_the_most_is_refused(loop: asyncio.AbstractEventLoop) -> None:
    waiting = queue(most=4)
    for _ in range(4):
        waiting.push(request(loop, "greedy"))
    with pytest.raises(QueueFullError, match="The queue is full: 4 queries"):
        waiting.push(request(loop, "greedy"))
    assert waiting.push(request(loop, "me"))
    assert len(waiting) == 4


def test_f124_a_refused_request_evicts_nothing(
    loop: asyncio.AbstractEventLoop,
) -> None:
    waiting = queue(most=4)
    for caller in "abc":
        waiting.push(request(loop, caller))
    with pytest.raises(QueueFullError):
        waiting.push(request(loop, "greedy", queries=4))
    assert len(waiting) == 3
    assert taken(waiting) == ["a", "b", "c"]


def test_f124_a_cancelled_request_costs_its_caller_nothing(
    loop: asyncio.AbstractEventLoop,
) -> None:
    waiting = queue()
    left = request(loop, "me", encodings=64)
    waiting.push(left)
    waiting.remove(left)
    waiting.push(request(loop, "other", key=1))
    waiting.push(request(loop, "me"))
    waiting.push(request(loop, "other", key=2))
    assert [taken(waiting) for _ in range(3)] == [["other"], ["me"], ["other"]]
    assert len(waiting) == 0


def test_a_request_taken_back_leaves_the_turns_of_the_callers_others(
    loop: asyncio.AbstractEventLoop,
) -> None:
    waiting = queue()
    waiting.push(request(loop, "me", encodings=64, key=1))
    left = request(loop, "me", encodings=64, key=2)
    waiting.push(left)
    waiting.remove(left)
    # The one that still waits keeps the turns behind it, and others come first.
    waiting.push(request(loop, "me", encodings=1, key=3))
    waiting.push(request(loop, "other", encodings=100, key=4))
    waiting.push(request(loop, "other", encodings=1, key=5))
    found = [taken(waiting) for _ in range(4)]
    assert found == [["me"], ["other"], ["other"], ["me"]]


def test_who_gives_way_once_may_still_hold_the_most(
    loop: asyncio.AbstractEventLoop,
) -> None:
    waiting = queue(most=9)
    large = [request(loop, "much", queries=2) for _ in range(3)]
    for each in (*large, *(request(loop, "little") for _ in range(3))):
        waiting.push(each)
    assert waiting.push(request(loop, "me", queries=3)) == [large[2], large[1]]
    assert len(waiting) == 8


def test_how_many_were_served_since_does_not_count_for_ones_turn(
    loop: asyncio.AbstractEventLoop,
) -> None:
    waiting = queue()
    waiting.push(request(loop, "greedy", encodings=49))
    assert taken(waiting) == ["greedy"]
    for number in range(60):
        waiting.push(request(loop, f"other {number}"))
    assert len(taken(waiting)) == 60
    waiting.push(request(loop, "greedy", key=1))
    waiting.push(request(loop, "me", key=2))
    assert [taken(waiting) for _ in range(2)] == [["me"], ["greedy"]]
