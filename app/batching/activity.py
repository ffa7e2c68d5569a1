"""Whether requests are being answered, so that other work keeps out of their way."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from app.batching.batcher import BatchScope

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")
ObservedRun = Callable[[Sequence[Asked], BatchScope], Sequence[Answered]]

# Requests of one client follow one another within milliseconds: a gap must last so
# long before it counts as one.
GAP_S = 0.03


class IdleTracker:
    """Knows when passes run. Safe to use from several threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self._ended_at = float("-inf")

    def observed(
        self, run: ObservedRun[Asked, Answered]
    ) -> ObservedRun[Asked, Answered]:
        """The same function, whose calls are noticed from now on."""

        def observed_run(
            questions: Sequence[Asked], scope: BatchScope
        ) -> Sequence[Answered]:
            self._begin()
            try:
                return run(questions, scope)
            finally:
                self._end()

        return observed_run

    def idle_s(self) -> float:
        """Seconds since the last pass ended; 0 while one runs."""
        with self._changed:
            return self._idle_s()

    def wait_for_gap(self, timeout_s: float) -> None:
        """Return once nothing has run for a moment, or when the time is up."""
        give_up_at = time.monotonic() + timeout_s
        with self._changed:
            while (left := give_up_at - time.monotonic()) > 0:
                if self._running:
                    self._changed.wait(left)
                elif (missing := GAP_S - self._idle_s()) > 0:
                    self._changed.wait(min(left, missing))
                else:
                    return

    def _idle_s(self) -> float:
        return 0.0 if self._running else time.monotonic() - self._ended_at

    def _begin(self) -> None:
        with self._changed:
            self._running += 1

    def _end(self) -> None:
        with self._changed:
            self._running -= 1
            self._ended_at = time.monotonic()
            self._changed.notify_all()
