"""The last known counts of rows: renewed beside those who ask, never in their way."""

import threading
import time
from dataclasses import dataclass

from app.deadline import Deadline
from app.errors import AppError
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.coverage import Coverage, coverage, fresh_for_s
from app.storage.users import count_users

# A count that takes longer is given up, and the figure before it stays.
TIMEOUT_S = 60.0
# So long may who asks wait for a count that is due: small tables are counted by then.
COUNTS_PATIENCE_S = 0.5


@dataclass(frozen=True)
class Counts:
    """Rows by state, when they were counted (`time.monotonic()`), and until when that
    is new enough.
    """

    jobs: Coverage
    users: int
    at: float
    fresh_until: float

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.at


class RowCounts:
    """Counts on a thread of its own, one at a time. Safe for several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changed = threading.Condition()
        self._last: Counts | None = None
        self._is_counting = False

    def __call__(self) -> Counts | None:
        """The last counts; None before the first ones. Raises nothing."""
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
        found: Counts | None = None
        try:
            found = self._count()
        except AppError:
            pass  # whoever asks the database next meets the same, and says so
        finally:
            with self._changed:
                self._last = found or self._last
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
