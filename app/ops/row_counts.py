"""Cached counts of rows, refreshed by a thread of their own."""

import threading
import time
from dataclasses import dataclass

from app.deadline import Deadline
from app.errors import AppError
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.coverage import Coverage, coverage, fresh_for_s
from app.storage.users import count_users

# A longer count is cancelled, and the previous counts stay.
TIMEOUT_S = 60.0
# A caller waits this long for a refresh, which is enough for small tables.
COUNTS_PATIENCE_S = 0.5


@dataclass(frozen=True)
class Counts:
    """The number of rows in each state.

    `at`: the time of the count, by `time.monotonic()`. `fresh_until`: the time of the
    next refresh.
    """

    jobs: Coverage
    users: int
    at: float
    fresh_until: float

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.at


class RowCounts:
    """Counts rows in a thread of its own, one count at a time. It is thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changed = threading.Condition()
        self._last: Counts | None = None
        self._is_counting = False

    def __call__(self) -> Counts | None:
        """The last counts; None before the first. Never raises."""
        with self._changed:
            if self._last is None or time.monotonic() >= self._last.fresh_until:
                self._start()
                self._changed.wait_for(lambda: not self._is_counting, COUNTS_PATIENCE_S)
            return self._last

    def _start(self) -> None:
        if not self._is_counting:
            self._is_counting = True
            threading.Thread(target=self._run, name="counts", daemon=True).start()

    def _run(self) -> None:
        counts: Counts | None = None
        try:
            counts = self._count()
        except AppError:
            pass  # the next request or readiness check reports the same error
        finally:
            with self._changed:
                self._last = counts or self._last
                self._is_counting = False
                self._changed.notify_all()

    def _count(self) -> Counts:
        start = time.monotonic()
        with self._database.snapshot(Deadline.after(TIMEOUT_S)) as transaction:
            catalogue = Catalogue.read(transaction)
            jobs = coverage(transaction, catalogue.jobs)
            users = count_users(transaction, catalogue.users)
        now = time.monotonic()
        return Counts(jobs, users, now, now + fresh_for_s(now - start))
