"""Whether requests are being answered, so that other work waits for a gap."""

import threading
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Returned = TypeVar("Returned")

# Shorter gaps do not count: one client sends its next request within milliseconds.
GAP_S = 0.03


class IdleTracker:
    """Knows when batches run. Safe to use from several threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self._ended_at = float("-inf")

    def observed(self, run: Callable[Given, Returned]) -> Callable[Given, Returned]:
        """The same function; its calls are tracked."""

        def observed_run(*args: Given.args, **kwargs: Given.kwargs) -> Returned:
            self._begin()
            try:
                return run(*args, **kwargs)
            finally:
                self._end()

        return observed_run

    def idle_s(self) -> float:
        """Seconds since the last batch ended; 0 while one runs."""
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
