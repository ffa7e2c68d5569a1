"""Keeps running and embeds new rows: one indexed query every second, and no connection
of its own. NOTIFY would let the team's transactions commit one after the other.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from app.backfill.vectors import VectorFilling
from app.backfill.vocabulary import VocabularyKeeper
from app.backfill.worker import Backfill, Progress
from app.deadline import Deadline
from app.errors import UnavailableError
from app.storage.connection.database import Database
from app.storage.models import model_in_use

log = logging.getLogger(__name__)

WATCH_POLL_S = 1.0
MODEL_LOOK_S = 60.0


@dataclass(frozen=True)
class Work:
    """Everything that can wait in the tables of a run; `vectors` of jobs."""

    backfills: Sequence[Backfill]
    vocabulary: VocabularyKeeper
    vectors: VectorFilling | None = None

    def any_waiting(self) -> bool:
        """Whether there may be something to do; asked without a write or a scan."""
        return (
            any(backfill.any_waiting() for backfill in self.backfills)
            or (self.vectors is not None and self.vectors.waiting() > 0)
            or self.vocabulary.any_due()
        )

    def run(self) -> Iterator[Progress]:
        """What waits now, table after table, but rows that others have claimed."""
        yield from (Progress(skills=count) for count in self.vocabulary.renew())
        jobs = 0
        for backfill in self.backfills:
            for done in backfill.run(wait_for_claims=False):
                if backfill.entity == "jobs":
                    jobs += done.embedded + done.split
                yield done
        for backfill in self.backfills:
            for done in backfill.split_again():
                if backfill.entity == "jobs":
                    jobs += done.embedded + done.split
                yield done
        if self.vectors is not None:
            deque(self.vectors.run(), maxlen=0)
        self.vocabulary.finish(jobs=jobs)


class ModelWork:
    """The work for the model in use: another one after a switch."""

    def __init__(
        self, database: Database, build: Callable[[str], Work], version: str
    ) -> None:
        """`version`: the model of a database that no model has begun."""
        self._database = database
        self._build = build
        self._version = version
        self._current: tuple[str, Work] | None = None

    def current(self) -> Work:
        """The work now; asked by one indexed look. Raises AppError."""
        with self._database.snapshot(Deadline.after(MODEL_LOOK_S)) as transaction:
            version = model_in_use(transaction) or self._version
        if self._current is None or self._current[0] != version:
            self._current = version, self._build(version)
        return self._current[1]


def watch(works: Callable[[], Work], stop: threading.Event) -> Iterator[Progress]:
    """Do the waiting work, and then all new work, until `stop`."""
    while not stop.is_set():
        try:
            work = works()
            is_waiting = work.any_waiting()
        except UnavailableError as error:
            log.warning("%s", error)
            is_waiting = False
        if is_waiting:
            yield from work.run()
        stop.wait(WATCH_POLL_S)
