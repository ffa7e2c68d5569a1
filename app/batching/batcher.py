"""Dynamic batching: requests that wait at the same moment share a batch.

The batcher owns the queue and the threads. What a batch does is a function's: it takes
the queries and returns a result or an error for each.
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
from app.batching.pending import PendingRequest, QueryT, ResultT, settle
from app.deadline import Deadline
from app.errors import (
    AppError,
    ConnectionLostError,
    DeadlineExceededError,
    QueueFullError,
)


@dataclass(frozen=True)
class BatchScope:
    """The latest deadline of a batch's requests, and whether all were cancelled."""

    deadline: Deadline
    abandoned: Callable[[], bool]


RunBatch = Callable[[Sequence[QueryT], BatchScope], Sequence[ResultT | AppError]]


def retry_once_if_lost(
    run: RunBatch[QueryT, ResultT], queries: Sequence[QueryT], scope: BatchScope
) -> Sequence[ResultT | AppError]:
    """Run a batch, and once more if its connection breaks before the deadline.

    The second run reads a snapshot of its own.
    """
    try:
        return run(queries, scope)
    except ConnectionLostError:
        scope.deadline.check("answering again after a lost connection")
        return run(queries, scope)


# The scope of the batch that runs in this thread; None outside of batches.
RUNNING: ContextVar[BatchScope | None] = ContextVar("running", default=None)


class Batcher(Generic[QueryT, ResultT]):
    """The queue of waiting queries and the threads that answer it."""

    def __init__(
        self,
        run: RunBatch[QueryT, ResultT],
        *,
        threads: int = 1,
        max_batch_size: int = 64,
        max_batch_encodings: int = SHORT_BATCH_ENCODINGS,
        max_queue_size: int = 256,
        max_queue_encodings: int | None = None,
        batch_window_s: float = 0.0,
        cost_of: Callable[[Sequence[QueryT]], Cost] = lambda queries: Cost(
            len(queries)
        ),
    ) -> None:
        """`batch_window_s`: how long a batch that is not full waits for more requests
        while another batch runs.
        """
        self._run = run
        self._batch_window_s = batch_window_s
        self._running = 0
        self._max_batch_size = max_batch_size
        self._max_batch_encodings = max_batch_encodings
        self._cost_of = cost_of
        self._queue: FairQueue[QueryT, ResultT] = FairQueue(
            max_queries=max_queue_size, max_encodings=max_queue_encodings
        )
        self._changed = threading.Condition()
        self._closed = False
        self._most_threads = threads
        self._threads: list[threading.Thread] = []

    @property
    def waiting(self) -> int:
        """Queries in the queue, without those of running batches."""
        return len(self._queue)

    async def ask_all(
        self, queries: Sequence[QueryT], deadline: Deadline
    ) -> Sequence[ResultT | AppError]:
        """Wait for the batch that answers these queries of one `key`.

        Gives a result or an error for each. They share a batch if `max_batch_size`
        allows; the queue and the caller's rate count each of them. Cancelling takes
        them back. Raises QueueFullError at once when the queue is full, or later
        when its caller holds the most of it; DeadlineExceededError when the deadline
        passes first; RateLimitedError when the caller's rate is used up; and the error
        of the batch.
        """
        caller, cost = CALLER.get(), self._cost_of(queries)
        caller.pay(cost.units)
        request: PendingRequest[QueryT, ResultT] = PendingRequest(
            queries, deadline, asyncio.get_running_loop(), caller.identity, cost
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
        """Let running batches finish; fail the requests in the queue."""
        with self._changed:
            self._closed = True
            left = self._queue.drain()
            self._changed.notify_all()
        error = DeadlineExceededError("The service is shutting down.")
        settle([(request, error) for request in left])
        for thread in self._threads:
            thread.join(timeout_s)

    def _enqueue(self, request: PendingRequest[QueryT, ResultT]) -> None:
        with self._changed:
            if not self._threads and not self._closed:
                self._start_threads()
            evicted = self._queue.push(request)
            self._changed.notify()
        error = QueueFullError(
            "The queue is full, and callers with a smaller share of it come first;"
            " try again in a moment."
        )
        settle([(each, error) for each in evicted])

    def _start_threads(self) -> None:
        """At the first request: an unused lane has no threads."""
        self._threads = [
            threading.Thread(target=self._work, name=f"batch-{n}", daemon=True)
            for n in range(self._most_threads)
        ]
        for thread in self._threads:
            thread.start()

    def _cancel(self, request: PendingRequest[QueryT, ResultT]) -> None:
        request.cancelled = True
        with self._changed:
            # A batch that has taken it checks `cancelled` instead.
            if request.waits:
                self._queue.remove(request)

    def _work(self) -> None:
        while self._wait_for_requests():
            if requests := self._next_batch():
                self._answer(requests)
                with self._changed:
                    self._running -= 1

    def _wait_for_requests(self) -> bool:
        """True once requests wait and the batch window is over; False after `close`."""
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            gathers = self._running > 0 and len(self._queue) < self._max_batch_size
            if not self._queue:
                return False
        if gathers and self._batch_window_s:
            time.sleep(self._batch_window_s)
        return True

    def _next_batch(self) -> list[PendingRequest[QueryT, ResultT]]:
        """The requests of the next batch; none if another thread took them."""
        with self._changed:
            group = self._queue.take(
                max_queries=self._max_batch_size,
                max_encodings=self._max_batch_encodings,
            )
            self._running += bool(group)
            return group

    def _answer(self, requests: Sequence[PendingRequest[QueryT, ResultT]]) -> None:
        scope = BatchScope(
            deadline=max(request.deadline for request in requests),
            abandoned=lambda: all(request.cancelled for request in requests),
        )
        queries = [query for request in requests for query in request.queries]
        outcomes: list[ResultT | AppError] = []
        RUNNING.set(scope)
        try:
            for start in range(0, len(queries), self._max_batch_size):
                part = queries[start : start + self._max_batch_size]
                outcomes += self._run(part, scope)
        except Exception as error:  # noqa: BLE001  (handed to the callers)
            settle([(request, error) for request in requests])
            return
        left = iter(outcomes)
        settle(
            [
                (request, list(islice(left, len(request.queries))))
                for request in requests
            ]
        )
