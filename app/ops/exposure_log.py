"""Stores which jobs were shown, in a thread of its own: no answer waits for it."""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence

from app.deadline import Deadline
from app.errors import AppError
from app.query.exposure import Exposure
from app.storage.exposures import ExposureStore

log = logging.getLogger(__name__)

# Answers that may wait, some 1 KB each; the others are counted and dropped.
MAX_WAITING = 1000
# Those of so long share one statement.
GATHER_S = 1.0
STORE_TIMEOUT_S = 10.0
FORGET_TIMEOUT_S = 60.0
FORGET_EVERY_S = 86_400.0
# After an error: the database is away, or a migration is missing.
RETRY_PAUSE_S = 15.0


class ExposureLog:
    """Takes answers at any rate, and keeps the stored ones for `days`."""

    def __init__(self, store: ExposureStore, *, days: int) -> None:
        self._store = store
        self._days = days
        self._changed = threading.Condition()
        self._waiting: deque[Exposure] = deque()
        self._is_closed = False
        self._forget_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="exposures", daemon=True)
        self.dropped = 0

    def add(self, exposures: Sequence[Exposure]) -> None:
        """Store them soon. Never waits; thread-safe."""
        with self._changed:
            room = MAX_WAITING - len(self._waiting)
            self._waiting.extend(exposures[:room])
            self.dropped += len(exposures[room:])
            self._changed.notify_all()

    def start(self) -> None:
        self._thread.start()

    def close(self, *, timeout_s: float = 5.0) -> None:
        """Store what waits, if the database answers in time."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        was_well = True
        while True:
            is_last = self._wait_for_some()
            try:
                self._forget_old()
                self._store_waiting()
            except AppError as error:
                if was_well:  # once: requests' own errors say the same
                    log.warning("Shown jobs are not stored: %s", error)
                was_well = False
                self._pause(RETRY_PAUSE_S)
            else:
                was_well = True
            if is_last:
                return

    def _wait_for_some(self) -> bool:
        """Wait for answers, or until old ones are to be forgotten, and a little longer
        for more of them; whether it is the last time.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._waiting or self._is_closed,
                max(0.0, self._forget_at - time.monotonic()),
            )
        return self._pause(GATHER_S)

    def _pause(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._is_closed, seconds)

    def _store_waiting(self) -> None:
        with self._changed:
            some = list(self._waiting)
        if some:
            self._store.record(some, Deadline.after(STORE_TIMEOUT_S))
        with self._changed:
            for _ in some:
                self._waiting.popleft()

    def _forget_old(self) -> None:
        if time.monotonic() >= self._forget_at:
            self._store.forget(self._days, Deadline.after(FORGET_TIMEOUT_S))
            self._forget_at = time.monotonic() + FORGET_EVERY_S
