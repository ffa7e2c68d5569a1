"""A request whose queries wait in the batcher's queue."""

import asyncio
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from app.batching.cost import Cost
from app.deadline import Deadline
from app.errors import AppError


class HasBatchKey(Protocol):
    """Queries with equal keys share a batch."""

    @property
    def key(self) -> Hashable: ...


QueryT = TypeVar("QueryT", bound=HasBatchKey)
ResultT = TypeVar("ResultT")

# Of one request: a result or an error for each query, or the error of its batch.
Settlement = Sequence[ResultT | AppError] | Exception


@dataclass(eq=False)
class PendingRequest(Generic[QueryT, ResultT]):
    """One request's queries in the queue.

    Only the event loop touches its future: cancelling and completing cannot race.
    """

    queries: Sequence[QueryT]
    deadline: Deadline
    loop: asyncio.AbstractEventLoop
    caller: Hashable
    cost: Cost
    # Computed once: a key with a thousand filters takes a millisecond.
    key: Hashable = field(init=False)
    future: "asyncio.Future[Sequence[ResultT | AppError]]" = field(init=False)
    cancelled: bool = False
    # Set by the queue: whether it waits there, and its position in virtual time.
    waits: bool = False
    turn: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self.key = self.queries[0].key
        self.future = self.loop.create_future()

    def settle(self, outcome: Settlement[ResultT]) -> None:
        """Complete the future, in the thread of the loop."""
        if self.future.done():
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


def settle(
    settled: Sequence[tuple[PendingRequest[QueryT, ResultT], Settlement[ResultT]]],
) -> None:
    """Complete the futures, from any thread: wakes each loop once."""
    for loop in {request.loop for request, _ in settled}:
        # RuntimeError: the loop is closed, and its futures with it.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle_here, loop, settled)


def _settle_here(
    loop: asyncio.AbstractEventLoop,
    settled: Sequence[tuple[PendingRequest[QueryT, ResultT], Settlement[ResultT]]],
) -> None:
    for request, outcome in settled:
        if request.loop is loop:
            request.settle(outcome)
