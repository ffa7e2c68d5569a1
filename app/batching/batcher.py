"""Dynamic batching: requests that wait at the same moment are answered together.

It knows nothing of what a batch does: a function takes the waiting queries and
gives an answer, or an error, for each. It owns the threads and the waits.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import islice
from typing import Generic

from app.batching.caller import CALLER
from app.batching.cost import SHORT_BATCH_ENCODINGS, Cost
from app.batching.fair_queue import FairQueue
from app.batching.pending import Answer, PendingRequest, Question, settle
from app.deadline import Deadline
from app.errors import (
    AppError,
    ConnectionLostError,
    DeadlineExceededError,
    TooManyWaitingError,
)


@dataclass(frozen=True)
class BatchScope:
    """What a running pass must respect: the latest deadline among its questions,
    and whether anybody still waits for it.
    """

    deadline: Deadline
    abandoned: Callable[[], bool]


RunBatch = Callable[[Sequence[Question], BatchScope], Sequence[Answer | AppError]]


def retry_once_if_lost(
    run: RunBatch[Question, Answer], questions: Sequence[Question], scope: BatchScope
) -> Sequence[Answer | AppError]:
    """Run a pass; a connection that breaks is replaced once, while there is time.

    Nothing was answered by then, and the second pass reads a snapshot of its own.
    """
    try:
        return run(questions, scope)
    except ConnectionLostError:
        scope.deadline.check("answering again after a lost connection")
        return run(questions, scope)


# The scope of the batch that runs in this thread; None outside of batches.
RUNNING: ContextVar[BatchScope | None] = ContextVar("running", default=None)


class Batcher(Generic[Question, Answer]):
    """The queue of waiting queries and the threads that answer it."""

    def __init__(
        self,
        run: RunBatch[Question, Answer],
        *,
        threads: int = 1,
        max_batch_size: int = 64,
        max_batch_encodings: int = SHORT_BATCH_ENCODINGS,
        max_queue_size: int = 256,
        max_queue_encodings: int | None = None,
        batch_window_s: float = 0.0,
        cost_of: Callable[[Sequence[Question]], Cost] = lambda asked: Cost(len(asked)),
    ) -> None:
        """`batch_window_s`: while other batches run, one that is not full waits this
        long for more requests; the fixed cost of a batch is then paid less often.
        """
        self._run = run
        self._batch_window_s = batch_window_s
        self._running = 0
        self._max_batch_size = max_batch_size
        self._max_batch_encodings = max_batch_encodings
        self._cost_of = cost_of
        self._queue: FairQueue[Question, Answer] = FairQueue(
            max_queries=max_queue_size, max_encodings=max_queue_encodings
        )
        self._changed = threading.Condition()
        self._closed = False
        self._most_threads = threads
        self._threads: list[threading.Thread] = []

    @property
    def waiting(self) -> int:
        """Queries in the queue, those of running batches not among them."""
        return len(self._queue)

    async def ask(self, question: Question, deadline: Deadline) -> Answer:
        """Wait for the batch that answers this query.

        Raises TooManyWaitingError at once when the queue is full, or later when its
        caller holds the most of it; DeadlineExceededError when the deadline passes
        first; RateLimitedError when the caller's rate is used up; and whatever error
        the batch has for this query. Cancelling it takes the query back.
        """
        (outcome,) = await self.ask_all([question], deadline)
        if isinstance(outcome, AppError):
            raise outcome
        return outcome

    async def ask_all(
        self, questions: Sequence[Question], deadline: Deadline
    ) -> Sequence[Answer | AppError]:
        """As `ask`, for queries of one `key`: an answer, or the error that is
        its own, for each. They share one batch if `max_batch_size` allows, and count in
        the queue and in the caller's rate as so many.
        """
        caller, cost = CALLER.get(), self._cost_of(questions)
        caller.pay(cost.units)
        request: PendingRequest[Question, Answer] = PendingRequest(
            questions, deadline, asyncio.get_running_loop(), caller.identity, cost
        )
        self._enqueue(request)
        try:
            async with asyncio.timeout(deadline.remaining_s()):
                return await request.future
        except TimeoutError:
            raise DeadlineExceededError(
                "The deadline passed before the answer was ready; try again in a"
                " moment."
            ) from None
        finally:
            self._cancel(request)

    def close(self, *, timeout_s: float = 5.0) -> None:
        """Let running batches finish, and fail what still waits in the queue."""
        with self._changed:
            self._closed = True
            left = self._queue.drain()
            self._changed.notify_all()
        error = DeadlineExceededError("The service is shutting down.")
        settle([(request, error) for request in left])
        for thread in self._threads:
            thread.join(timeout_s)

    def _enqueue(self, request: PendingRequest[Question, Answer]) -> None:
        with self._changed:
            if not self._threads and not self._closed:
                self._start_threads()
            evicted = self._queue.push(request)
            self._changed.notify()
        error = TooManyWaitingError(
            "Others who ask for less came first; try again in a moment."
        )
        settle([(each, error) for each in evicted])

    def _start_threads(self) -> None:
        """At the first request: a lane that nobody uses costs nothing."""
        self._threads = [
            threading.Thread(target=self._work, name=f"batch-{n}", daemon=True)
            for n in range(self._most_threads)
        ]
        for thread in self._threads:
            thread.start()

    def _cancel(self, request: PendingRequest[Question, Answer]) -> None:
        request.cancelled = True
        with self._changed:
            # Else a batch has taken it, and sees `cancelled`.
            if request.waits:
                self._queue.remove(request)

    def _work(self) -> None:
        while self._wait_for_requests():
            if requests := self._next_batch():
                self._answer(requests)
                with self._changed:
                    self._running -= 1

    def _wait_for_requests(self) -> bool:
        """True once some wait, and had a moment to become more; False at the end."""
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            gathers = self._running > 0 and len(self._queue) < self._max_batch_size
            if not self._queue:
                return False
        if gathers and self._batch_window_s:
            time.sleep(self._batch_window_s)
        return True

    def _next_batch(self) -> list[PendingRequest[Question, Answer]]:
        """What runs from now on; empty where another thread took it."""
        with self._changed:
            group = self._queue.take(
                max_queries=self._max_batch_size,
                max_encodings=self._max_batch_encodings,
            )
            self._running += bool(group)
            return group

    def _answer(self, tickets: Sequence[PendingRequest[Question, Answer]]) -> None:
        scope = BatchScope(
            deadline=max(ticket.deadline for ticket in tickets),
            abandoned=lambda: all(ticket.cancelled for ticket in tickets),
        )
        questions = [question for ticket in tickets for question in ticket.questions]
        outcomes: list[Answer | AppError] = []
        RUNNING.set(scope)
        try:
            for start in range(0, len(questions), self._max_batch_size):
                part = questions[start : start + self._max_batch_size]
                outcomes += self._run(part, scope)
        except Exception as error:  # noqa: BLE001  (handed to those who wait)
            settle([(ticket, error) for ticket in tickets])
            return
        left = iter(outcomes)
        settle(
            [(ticket, list(islice(left, len(ticket.questions)))) for ticket in tickets]
        )
