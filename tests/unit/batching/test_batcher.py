"""The queue of the batcher: sharing, cancelling, closing."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from app.batching.batcher import Batcher, BatchScope
from app.batching.caller import CALLER, Caller
from app.deadline import Deadline
from app.errors import DeadlineExceededError, QueueFullError
from tests.support.batching import only
from tests.support.waiting import be_slow


@dataclass(frozen=True)
class Asked:
    text: str
    key: int = 0


class Gate:
    """Batches that run until each is released."""

    def __init__(self) -> None:
        self.opened = threading.Semaphore(0)
        self.begun = threading.Event()
        self.groups: list[list[str]] = []
        self.scopes: list[BatchScope] = []

    def run(self, asked: Sequence[Asked], scope: BatchScope) -> Sequence[str]:
        self.groups.append([query.text for query in asked])
        self.scopes.append(scope)
        self.begun.set()
        assert self.opened.acquire(timeout=30)
        return [query.text.upper() for query in asked]


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def batcher(gate: Gate) -> Iterator[Batcher[Asked, str]]:
    batcher: Batcher[Asked, str] = Batcher(gate.run, max_batch_size=3, max_queue_size=4)
    yield batcher
    gate.opened.release(100)
    batcher.close()


LATER = 30.0


async def begun(gate: Gate) -> None:
    await asyncio.to_thread(gate.begun.wait, 30)


async def ask(
    batcher: Batcher[Asked, str], *asked: Asked, timeout_s: float = LATER
) -> list[asyncio.Task[str]]:
    deadline = Deadline.after(timeout_s)
    tasks = [asyncio.create_task(only(batcher, each, deadline)) for each in asked]
    await asyncio.sleep(0)  # each is in the queue
    return tasks


def test_waiting_queries_share_the_next_batch_by_key_and_size(
    gate: Gate, batcher: Batcher[Asked, str]
) -> None:
    async def story() -> list[str]:
        first = await ask(batcher, Asked("a"))
        await begun(gate)
        rest = await ask(batcher, Asked("b"), Asked("c", key=1), Asked("d"), Asked("e"))
        gate.opened.release(100)
        return await asyncio.gather(*first, *rest)

    assert asyncio.run(story()) == ["A", "B", "C", "D", "E"]
    assert gate.groups == [["a"], ["b", "d", "e"], ["c"]]


def test_a_partly_filled_batch_waits_while_another_runs(gate: Gate) -> None:
    async def story(batcher: Batcher[Asked, str]) -> list[str]:
        # What ran before counts no longer.
        gate.opened.release(2)
        for text in ("x", "y"):
            await asyncio.gather(*await ask(batcher, Asked(text)))
        gate.begun.clear()
        gate.groups.clear()
        first = await ask(batcher, Asked("a"))
        await begun(gate)
        second = await ask(batcher, Asked("b"))
        await asyncio.to_thread(be_slow, 0.05)
        third = await ask(batcher, Asked("c"))
        gate.opened.release(100)
        return await asyncio.gather(*first, *second, *third)

    batcher: Batcher[Asked, str] = Batcher(gate.run, threads=2, batch_window_s=0.5)
    assert asyncio.run(story(batcher)) == ["A", "B", "C"]
    assert gate.groups == [["a"], ["b", "c"]]
    batcher.close()


def test_neither_a_single_query_nor_a_full_batch_waits(gate: Gate) -> None:
    async def story(batcher: Batcher[Asked, str]) -> None:
        first = await ask(batcher, Asked("a"))
        await begun(gate)
        gate.begun.clear()
        rest = batcher.ask_all([Asked("b"), Asked("c")], Deadline.after(LATER))
        full = asyncio.create_task(rest)
        await begun(gate)
        gate.opened.release(100)
        await asyncio.gather(*first, full)

    batcher: Batcher[Asked, str] = Batcher(
        gate.run, threads=2, max_batch_size=2, batch_window_s=2 * LATER
    )
    asyncio.run(story(batcher))
    assert gate.groups == [["a"], ["b", "c"]]
    batcher.close()


def test_f50_beyond_the_queue_a_request_is_refused_at_once(
    gate: Gate, batcher: Batcher[Asked, str]
) -> None:
    async def story() -> None:
        running = await ask(batcher, Asked("a"))
        await begun(gate)
        waiting = await ask(batcher, *[Asked(str(n)) for n in range(4)])
        with pytest.raises(QueueFullError, match="The queue is full: 4 queries"):
            await only(batcher, Asked("x"), Deadline.after(LATER))
        gate.opened.release(100)
        await asyncio.gather(*running, *waiting)

    asyncio.run(story())


def test_f19_a_batch_is_abandoned_only_after_its_last_cancellation(
    gate: Gate, batcher: Batcher[Asked, str]
) -> None:
    async def story() -> None:
        running = await ask(batcher, Asked("a"))
        await begun(gate)
        gate.begun.clear()
        one, other = await ask(batcher, Asked("b"), Asked("c"))
        gate.opened.release()
        await asyncio.gather(*running)
        await begun(gate)
        scope = gate.scopes[-1]
        one.cancel()
        await asyncio.wait([one])
        assert not scope.abandoned()
        other.cancel()
        await asyncio.wait([other])
        assert scope.abandoned()
        gate.opened.release(100)

    asyncio.run(story())


def test_a_cancelled_query_never_runs(gate: Gate, batcher: Batcher[Asked, str]) -> None:
    async def story() -> None:
        running = await ask(batcher, Asked("a"))
        await begun(gate)
        (left,) = await ask(batcher, Asked("b"))
        left.cancel()
        await asyncio.wait([left])
        gate.opened.release(100)
        await asyncio.gather(*running)

    asyncio.run(story())
    assert gate.groups == [["a"]]
    assert batcher.waiting == 0


def test_a_deadline_ends_the_wait_but_not_the_batch(
    gate: Gate, batcher: Batcher[Asked, str]
) -> None:
    async def story() -> None:
        (late,) = await ask(batcher, Asked("a"), timeout_s=0.05)
        with pytest.raises(DeadlineExceededError):
            await late
        gate.opened.release(100)

    asyncio.run(story())


def test_f55_cancelling_at_completion_does_not_affect_other_callers() -> None:
    """Callers leave just when their shared batch ends; those who stay get theirs."""
    failures: list[object] = []

    def run(asked: Sequence[Asked], _scope: BatchScope) -> Sequence[str]:
        return [query.text.upper() for query in asked]

    batcher: Batcher[Asked, str] = Batcher(run, threads=2)

    async def story() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: failures.append(context))
        for number in range(500):
            leaving, staying = await ask(
                batcher, Asked(f"l{number}"), Asked(f"s{number}")
            )
            # After 0 to a few iterations of the loop: before, at and after the end.
            for _ in range(number % 7):
                await asyncio.sleep(0)
            leaving.cancel()
            assert await staying == f"S{number}"
            await asyncio.wait([leaving])
            assert leaving.cancelled() or leaving.result() == f"L{number}"

    asyncio.run(story())
    batcher.close()
    assert failures == []
    assert batcher.waiting == 0


def test_an_error_of_a_batch_reaches_all_its_queries() -> None:
    def run(_asked: Sequence[Asked], _scope: BatchScope) -> Sequence[str]:
        raise ZeroDivisionError

    batcher: Batcher[Asked, str] = Batcher(run)

    async def story() -> list[str | BaseException]:
        tasks = await ask(batcher, Asked("a"), Asked("b"))
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = asyncio.run(story())
    batcher.close()
    assert [type(error) for error in found] == [ZeroDivisionError] * 2


def test_closing_fails_waiting_queries_and_lets_the_batch_finish(gate: Gate) -> None:
    batcher: Batcher[Asked, str] = Batcher(gate.run)

    async def story() -> None:
        (running,) = await ask(batcher, Asked("a"))
        await begun(gate)
        (waiting,) = await ask(batcher, Asked("b"))
        closing = asyncio.create_task(asyncio.to_thread(batcher.close))
        with pytest.raises(DeadlineExceededError, match="shutting down"):
            await waiting
        gate.opened.release(100)
        assert await running == "A"
        await closing

    asyncio.run(story())


def test_queries_of_one_request_share_a_batch_and_each_counts_in_the_queue(
    gate: Gate, batcher: Batcher[Asked, str]
) -> None:
    async def story() -> list[object]:
        running = await ask(batcher, Asked("a"))
        await begun(gate)
        single = await ask(batcher, Asked("b"))
        together = asyncio.create_task(
            batcher.ask_all([Asked("c"), Asked("d"), Asked("e")], Deadline.after(LATER))
        )
        await asyncio.sleep(0)
        assert batcher.waiting == 4
        with pytest.raises(QueueFullError, match="The queue is full: 4 queries"):
            await only(batcher, Asked("x"), Deadline.after(LATER))
        gate.opened.release(100)
        return [*await asyncio.gather(*running, *single), *await together]

    assert asyncio.run(story()) == ["A", "B", "C", "D", "E"]
    # "b" is first in the queue; together they would be four.
    assert gate.groups == [["a"], ["b"], ["c", "d", "e"]]
    assert batcher.waiting == 0


def test_more_queries_than_fit_in_a_batch_take_several(
    gate: Gate, batcher: Batcher[Asked, str]
) -> None:
    gate.opened.release(100)
    asked = [Asked(letter) for letter in "abcd"]
    found = asyncio.run(batcher.ask_all(asked, Deadline.after(LATER)))
    assert found == ["A", "B", "C", "D"]
    assert gate.groups == [["a", "b", "c"], ["d"]]


def test_a_batcher_that_nobody_asked_is_closed_at_once(gate: Gate) -> None:
    batcher: Batcher[Asked, str] = Batcher(gate.run)
    batcher.close()
    assert batcher.waiting == 0


def test_who_gives_way_or_waits_too_long_is_told_so(
    gate: Gate, batcher: Batcher[Asked, str]
) -> None:
    async def story() -> None:
        running = await ask(batcher, Asked("a"))
        await begun(gate)
        greedy = CALLER.set(Caller("greedy"))
        evicted = await ask(batcher, *[Asked(str(n)) for n in range(4)])
        CALLER.reset(greedy)
        (late,) = await ask(batcher, Asked("b"), timeout_s=0.05)
        with pytest.raises(QueueFullError) as refused:
            await evicted[-1]
        assert str(refused.value) == (
            "The queue is full, and callers with a smaller share of it come first;"
            " try again in a moment."
        )
        with pytest.raises(DeadlineExceededError) as exceeded:
            await late
        assert str(exceeded.value) == (
            "The deadline passed before the answer was ready; try again in a moment."
        )
        gate.opened.release(100)
        await asyncio.gather(*running, *evicted[:-1])

    asyncio.run(story())
