"""Shared passes: requests that wait at the same moment are answered together.

It knows nothing of what a pass does: a function takes the waiting questions and
gives an answer, or an error, for each. It owns the line, the threads and the waits.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic

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


class Batcher(Generic[Question, Answer]):
    """The line of waiting questions and the threads that answer it."""

    def __init__(
        self,
        run: RunBatch[Question, Answer],
        *,
        threads: int = 1,
        max_batch_size: int = 64,
        max_queue_size: int = 256,
        batch_window_s: float = 0.0,
    ) -> None:
        """`batch_window_s`: while other batches run, one that is not full waits this
        long for more requests; the fixed cost of a batch is then paid less often.
        """
        self._run = run
        self._gather_s = batch_window_s
        self._running = 0
        self._most_per_pass = max_batch_size
        self._max_waiting = max_queue_size
        self._line: deque[PendingRequest[Question, Answer]] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"pass-{n}", daemon=True)
            for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Questions in the line, those of running passes not among them."""
        return self._waiting

    async def ask(self, question: Question, deadline: Deadline) -> Answer:
        """Wait for the pass that answers this question.

        Raises TooManyWaitingError at once when the line is full,
        DeadlineExceededError when the deadline passes first, and whatever error the
        pass has for this question. Cancelling it takes the question back.
        """
        (outcome,) = await self.ask_all([question], deadline)
        if isinstance(outcome, AppError):
            raise outcome
        return outcome

    async def ask_all(
        self, questions: Sequence[Question], deadline: Deadline
    ) -> Sequence[Answer | AppError]:
        """As `ask`, for questions of one `key`: an answer, or the error that is
        its own, for each. They share one pass if `max_batch_size` allows, and count in
        the line as so many.
        """
        ticket: PendingRequest[Question, Answer] = PendingRequest(
            questions, deadline, asyncio.get_running_loop()
        )
        self._enqueue(ticket)
        try:
            async with asyncio.timeout(deadline.remaining_s()):
                return await ticket.future
        except TimeoutError:
            raise DeadlineExceededError(
                "The deadline passed before the answer was ready; try again in a"
                " moment."
            ) from None
        finally:
            self._cancel(ticket)

    def close(self, *, timeout_s: float = 5.0) -> None:
        """Let running passes finish, and fail what still waits in the line."""
        with self._changed:
            self._closed = True
            left = list(self._line)
            for ticket in left:
                ticket.in_line = False
            self._line.clear()
            self._waiting = 0
            self._changed.notify_all()
        error = DeadlineExceededError("The service is shutting down.")
        settle([(ticket, error) for ticket in left])
        for thread in self._threads:
            thread.join(timeout_s)

    def _enqueue(self, ticket: PendingRequest[Question, Answer]) -> None:
        with self._changed:
            if self._waiting + len(ticket.questions) > self._max_waiting:
                raise TooManyWaitingError(
                    f"{self._waiting} requests are waiting already; try again in a"
                    " moment."
                )
            self._line.append(ticket)
            self._waiting += len(ticket.questions)
            self._changed.notify()

    def _cancel(self, ticket: PendingRequest[Question, Answer]) -> None:
        ticket.cancelled = True
        with self._changed:
            # Else a pass has taken it, and sees `cancelled`.
            if ticket.in_line:
                self._line.remove(ticket)
                self._waiting -= len(ticket.questions)

    def _work(self) -> None:
        while self._wait_for_questions():
            if tickets := self._next_group():
                self._answer(tickets)
                with self._changed:
                    self._running -= 1

    def _wait_for_questions(self) -> bool:
        """True once some wait, and had a moment to become more; False at the end."""
        with self._changed:
            while not self._line and not self._closed:
                self._changed.wait()
            gathers = self._running > 0 and self._waiting < self._most_per_pass
            if not self._line:
                return False
        if gathers and self._gather_s:
            time.sleep(self._gather_s)
        return True

    def _next_group(self) -> list[PendingRequest[Question, Answer]]:
        """The oldest ticket and those that fit into its pass, which runs from now on;
        empty where another thread took them.
        """
        with self._changed:
            if not self._line:
                return []
            key = self._line[0].questions[0].key
            group: list[PendingRequest[Question, Answer]] = []
            size = 0
            for ticket in self._line:
                if ticket.questions[0].key == key:
                    size += len(ticket.questions)
                    # A request alone may be too large: it takes several passes.
                    if group and size > self._most_per_pass:
                        break
                    group.append(ticket)
            for ticket in group:
                ticket.in_line = False
                self._waiting -= len(ticket.questions)
            self._line = deque(ticket for ticket in self._line if ticket.in_line)
            self._running += 1
            return group

    def _answer(self, tickets: Sequence[PendingRequest[Question, Answer]]) -> None:
        scope = BatchScope(
            deadline=max(ticket.deadline for ticket in tickets),
            abandoned=lambda: all(ticket.cancelled for ticket in tickets),
        )
        questions = [question for ticket in tickets for question in ticket.questions]
        outcomes: list[Answer | AppError] = []
        try:
            for start in range(0, len(questions), self._most_per_pass):
                part = questions[start : start + self._most_per_pass]
                outcomes += self._run(part, scope)
        except Exception as error:  # noqa: BLE001  (handed to those who wait)
            settle([(ticket, error) for ticket in tickets])
            return
        left = iter(outcomes)
        settle(
            [(ticket, list(islice(left, len(ticket.questions)))) for ticket in tickets]
        )
