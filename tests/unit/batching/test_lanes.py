"""The lane of each request by its cost, and the counting of costs."""

import asyncio
from collections.abc import Sequence

import pytest

from app.batching.cost import Cost
from app.batching.lanes import Lanes
from app.deadline import Deadline

DEADLINE = Deadline.after(60)


class Lane:
    """A lane that answers at once and records the queries."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        self.closed = False
        self.asked: list[tuple[Sequence[Cost], Deadline]] = []

    async def ask_all(self, questions: Sequence[Cost], deadline: Deadline) -> list[str]:
        self.asked.append((questions, deadline))
        return [f"{self.waiting}: {question.encodings}" for question in questions]

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("cost", "lane"),
    [
        (Cost(1), "short"),
        (Cost(8, 2), "short"),
        (Cost(9, 0), "long"),
        (Cost(1, 3), "long"),
    ],
)
def test_a_dear_request_takes_the_long_lane(cost: Cost, lane: str) -> None:
    short, long = Lane(1), Lane(2)
    lanes = Lanes[Cost, str](short, long, is_fast=lambda asked: asked[0].is_short)
    asked = [cost, Cost(1, 7)]
    answers = asyncio.run(lanes.ask_all(asked, DEADLINE))
    taken, other, number = (short, long, 1) if lane == "short" else (long, short, 2)
    assert taken.asked == [(asked, DEADLINE)]
    assert other.asked == []
    assert answers == [f"{number}: {cost.encodings}", f"{number}: 7"]


def test_both_lanes_are_counted_and_closed() -> None:
    short, long = Lane(3), Lane(4)
    lanes = Lanes[Cost, str](short, long, is_fast=lambda asked: asked[0].is_short)
    assert lanes.waiting == 7
    lanes.close()
    assert (short.closed, long.closed) == (True, True)


@pytest.mark.parametrize(
    ("cost", "units", "work"),
    [
        (Cost(1), 1, 1),
        (Cost(3, 15), 3, 18),
        (Cost(3, 16), 4, 19),
        (Cost(64, 65), 68, 129),
    ],
)
def test_a_rate_counts_queries_and_sixteen_encodings_as_one(
    cost: Cost, units: int, work: int
) -> None:
    assert (cost.units, cost.work) == (units, work)
