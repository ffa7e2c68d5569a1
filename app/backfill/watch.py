"""Stays up and makes what appears: an indexed look every second, and no connection of
its own. A NOTIFY would let the team's transactions commit one after the other.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.backfill.vectors import VectorFilling
from app.backfill.vocabulary import VocabularyKeeper
from app.backfill.worker import Backfill, Progress
from app.errors import UnavailableError

log = logging.getLogger(__name__)

WATCH_POLL_S = 1.0


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


def watch(work: Work, stop: threading.Event) -> Iterator[Progress]:
    """Do what waits, and then whatever appears, until `stop`."""
    while not stop.is_set():
        try:
            is_waiting = work.any_waiting()
        except UnavailableError as error:
            log.warning("%s", error)
            is_waiting = False
        if is_waiting:
            yield from work.run()
        stop.wait(WATCH_POLL_S)
