"""What a request holds while its queries wait in the queue of the batcher."""

import asyncio
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from app.batching.cost import Cost
from app.deadline import Deadline
from app.errors import AppError


class HasBatchKey(Protocol):
    """Questions with equal keys share a batch."""

    @property
    def key(self) -> Hashable: ...


Question = TypeVar("Question", bound=HasBatchKey)
Answer = TypeVar("Answer")

# Of one request: an answer or an error for each question, or the error of its pass.
Settlement = Sequence[Answer | AppError] | Exception


@dataclass(eq=False)
class PendingRequest(Generic[Question, Answer]):
    """Queries of one request in the queue. Its future belongs to the event loop: it is
    touched there only, so that a cancellation and a completion cannot race.
    """

    questions: Sequence[Question]
    deadline: Deadline
    loop: asyncio.AbstractEventLoop
    caller: Hashable
    cost: Cost
    # Made once: a key with a thousand filters takes a millisecond to make.
    key: Hashable = field(init=False)
    future: "asyncio.Future[Sequence[Answer | AppError]]" = field(init=False)
    cancelled: bool = False
    # Both belong to the queue: whether it waits there, and its place in virtual time.
    waits: bool = False
    turn: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self.key = self.questions[0].key
        self.future = self.loop.create_future()

    def settle(self, outcome: Settlement[Answer]) -> None:
        """Hand the outcomes over, in the thread of the loop."""
        if self.future.done():
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


def settle(
    settled: Sequence[tuple[PendingRequest[Question, Answer], Settlement[Answer]]],
) -> None:
    """Hand the outcomes over, from any thread: each loop is woken once."""
    for loop in {ticket.loop for ticket, _ in settled}:
        # RuntimeError: the loop was closed, so nobody waits any more.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle_here, loop, settled)


def _settle_here(
    loop: asyncio.AbstractEventLoop,
    settled: Sequence[tuple[PendingRequest[Question, Answer], Settlement[Answer]]],
) -> None:
    for ticket, outcome in settled:
        if ticket.loop is loop:
            ticket.settle(outcome)
