"""The line of waiting questions: sharing, leaving, closing."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from app.batching.batcher import Batcher, BatchScope
from app.deadline import Deadline
from app.errors import DeadlineExceededError, TooManyWaitingError
from tests.support.waiting import be_slow


@dataclass(frozen=True)
class Asked:
    text: str
    key: int = 0


class Gate:
    """Passes that stay under way until each is let through."""

    def __init__(self) -> None:
        self.opened = threading.Semaphore(0)
        self.begun = threading.Event()
        self.groups: list[list[str]] = []
        self.scopes: list[BatchScope] = []

    def run(self, asked: Sequence[Asked], scope: BatchScope) -> Sequence[str]:
        self.groups.append([question.text for question in asked])
        self.scopes.append(scope)
        self.begun.set()
        assert self.opened.acquire(timeout=30)
        return [question.text.upper() for question in asked]


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def passes(gate: Gate) -> Iterator[Batcher[Asked, str]]:
    passes: Batcher[Asked, str] = Batcher(gate.run, max_batch_size=3, max_queue_size=4)
    yield passes
    gate.opened.release(100)
    passes.close()


LATER = 30.0


async def begun(gate: Gate) -> None:
    await asyncio.to_thread(gate.begun.wait, 30)


async def ask(
    passes: Batcher[Asked, str], *asked: Asked, timeout_s: float = LATER
) -> list[asyncio.Task[str]]:
    deadline = Deadline.after(timeout_s)
    tasks = [asyncio.create_task(passes.ask(each, deadline)) for each in asked]
    await asyncio.sleep(0)  # each joins the line
    return tasks


def test_those_who_wait_share_the_next_pass_by_key_and_size(
    gate: Gate, passes: Batcher[Asked, str]
) -> None:
    async def story() -> list[str]:
        first = await ask(passes, Asked("a"))
        await begun(gate)
        rest = await ask(passes, Asked("b"), Asked("c", key=1), Asked("d"), Asked("e"))
        gate.opened.release(100)
        return await asyncio.gather(*first, *rest)

    assert asyncio.run(story()) == ["A", "B", "C", "D", "E"]
    assert gate.groups == [["a"], ["b", "d", "e"], ["c"]]


def test_beside_a_running_pass_one_waits_for_company(gate: Gate) -> None:
    async def story(passes: Batcher[Asked, str]) -> list[str]:
        first = await ask(passes, Asked("a"))
        await begun(gate)
        second = await ask(passes, Asked("b"))
        await asyncio.to_thread(be_slow, 0.05)
        third = await ask(passes, Asked("c"))
        gate.opened.release(100)
        return await asyncio.gather(*first, *second, *third)

    passes: Batcher[Asked, str] = Batcher(gate.run, threads=2, batch_window_s=0.5)
    assert asyncio.run(story(passes)) == ["A", "B", "C"]
    assert gate.groups == [["a"], ["b", "c"]]
    passes.close()


def test_neither_a_question_alone_nor_a_full_pass_waits_for_company(gate: Gate) -> None:
    async def story(passes: Batcher[Asked, str]) -> None:
        first = await ask(passes, Asked("a"))
        await begun(gate)
        gate.begun.clear()
        rest = passes.ask_all([Asked("b"), Asked("c")], Deadline.after(LATER))
        full = asyncio.create_task(rest)
        await begun(gate)
        gate.opened.release(100)
        await asyncio.gather(*first, full)

    passes: Batcher[Asked, str] = Batcher(
        gate.run, threads=2, max_batch_size=2, batch_window_s=2 * LATER
    )
    asyncio.run(story(passes))
    assert gate.groups == [["a"], ["b", "c"]]
    passes.close()


def test_f50_beyond_the_line_it_refuses_at_once(
    gate: Gate, passes: Batcher[Asked, str]
) -> None:
    async def story() -> None:
        running = await ask(passes, Asked("a"))
        await begun(gate)
        waiting = await ask(passes, *[Asked(str(n)) for n in range(4)])
        with pytest.raises(TooManyWaitingError, match="4 requests are waiting already"):
            await passes.ask(Asked("x"), Deadline.after(LATER))
        gate.opened.release(100)
        await asyncio.gather(*running, *waiting)

    asyncio.run(story())


def test_f19_a_pass_is_abandoned_only_when_the_last_one_left(
    gate: Gate, passes: Batcher[Asked, str]
) -> None:
    async def story() -> None:
        running = await ask(passes, Asked("a"))
        await begun(gate)
        gate.begun.clear()
        one, other = await ask(passes, Asked("b"), Asked("c"))
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


def test_a_question_taken_back_is_never_asked(
    gate: Gate, passes: Batcher[Asked, str]
) -> None:
    async def story() -> None:
        running = await ask(passes, Asked("a"))
        await begun(gate)
        (left,) = await ask(passes, Asked("b"))
        left.cancel()
        await asyncio.wait([left])
        gate.opened.release(100)
        await asyncio.gather(*running)

    asyncio.run(story())
    assert gate.groups == [["a"]]
    assert passes.waiting == 0


def test_a_deadline_passes_while_the_pass_goes_on(
    gate: Gate, passes: Batcher[Asked, str]
) -> None:
    async def story() -> None:
        (late,) = await ask(passes, Asked("a"), timeout_s=0.05)
        with pytest.raises(DeadlineExceededError):
            await late
        gate.opened.release(100)

    asyncio.run(story())


def test_f55_to_cancel_at_the_moment_of_completion_harms_nobody() -> None:
    """Callers leave just when their shared pass ends; those who stay get theirs."""
    failures: list[object] = []

    def run(asked: Sequence[Asked], _scope: BatchScope) -> Sequence[str]:
        return [question.text.upper() for question in asked]

    passes: Batcher[Asked, str] = Batcher(run, threads=2)

    async def story() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: failures.append(context))
        for number in range(500):
            leaving, staying = await ask(
                passes, Asked(f"l{number}"), Asked(f"s{number}")
            )
            # Now or a few turns of the loop later: before, at and after the end.
            for _ in range(number % 7):
                await asyncio.sleep(0)
            leaving.cancel()
            assert await staying == f"S{number}"
            await asyncio.wait([leaving])
            assert leaving.cancelled() or leaving.result() == f"L{number}"

    asyncio.run(story())
    passes.close()
    assert failures == []
    assert passes.waiting == 0


def test_an_error_of_a_pass_reaches_everyone_who_shares_it() -> None:
    def run(_asked: Sequence[Asked], _scope: BatchScope) -> Sequence[str]:
        raise ZeroDivisionError

    passes: Batcher[Asked, str] = Batcher(run)

    async def story() -> list[str | BaseException]:
        tasks = await ask(passes, Asked("a"), Asked("b"))
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = asyncio.run(story())
    passes.close()
    assert [type(error) for error in found] == [ZeroDivisionError] * 2


def test_closing_fails_what_waits_and_lets_the_pass_finish(gate: Gate) -> None:
    passes: Batcher[Asked, str] = Batcher(gate.run)

    async def story() -> None:
        (running,) = await ask(passes, Asked("a"))
        await begun(gate)
        (waiting,) = await ask(passes, Asked("b"))
        closing = asyncio.create_task(asyncio.to_thread(passes.close))
        with pytest.raises(DeadlineExceededError, match="shutting down"):
            await waiting
        gate.opened.release(100)
        assert await running == "A"
        await closing

    asyncio.run(story())


def test_the_questions_of_one_request_share_a_pass_and_count_in_the_line(
    gate: Gate, passes: Batcher[Asked, str]
) -> None:
    async def story() -> list[object]:
        running = await ask(passes, Asked("a"))
        await begun(gate)
        single = await ask(passes, Asked("b"))
        together = asyncio.create_task(
            passes.ask_all([Asked("c"), Asked("d"), Asked("e")], Deadline.after(LATER))
        )
        await asyncio.sleep(0)
        assert passes.waiting == 4
        with pytest.raises(TooManyWaitingError, match="4 requests are waiting already"):
            await passes.ask(Asked("x"), Deadline.after(LATER))
        gate.opened.release(100)
        return [*await asyncio.gather(*running, *single), *await together]

    assert asyncio.run(story()) == ["A", "B", "C", "D", "E"]
    # "b" came first, and with it they would be four.
    assert gate.groups == [["a"], ["b"], ["c", "d", "e"]]
    assert passes.waiting == 0


def test_more_questions_than_a_pass_may_have_take_several(
    gate: Gate, passes: Batcher[Asked, str]
) -> None:
    gate.opened.release(100)
    asked = [Asked(letter) for letter in "abcd"]
    found = asyncio.run(passes.ask_all(asked, Deadline.after(LATER)))
    assert found == ["A", "B", "C", "D"]
    assert gate.groups == [["a", "b", "c"], ["d"]]
