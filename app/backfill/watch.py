"""Stays up and embeds what appears: woken by the database, or by looking."""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence

from app.backfill.skills import SkillBackfill, SkillProgress
from app.backfill.vectors import VectorFilling
from app.backfill.worker import Backfill, Progress
from app.errors import UnavailableError
from app.storage.connection.listener import Listener

log = logging.getLogger(__name__)

# A notice that never comes and one that is not needed look alike. Until the first
# one arrived the connection may be of the kind that brings none.
POLL_S = 1.0
# After it, looking only covers what a broken connection missed.
POLL_WHEN_NOTIFIED_S = 5.0
# How soon a wait notices `stop`: a signal handler cannot end a select().
STEP_S = 0.2


def watch(
    backfills: Sequence[Backfill],
    skills: SkillBackfill,
    vectors: VectorFilling | None,
    bell: "WakeUp",
    stop: threading.Event,
) -> Iterator[Progress | SkillProgress]:
    """Embed what waits, table after table, then the skills of both, and then whatever
    appears, until `stop`. Vectors that stored embeddings lack are made on the way.
    """
    while not stop.is_set():
        for backfill in backfills:
            yield from backfill.run(wait_for_claims=False)
        yield from skills.run()
        if vectors is not None:
            deque(vectors.run(), maxlen=0)
        bell.wait(stop)


class WakeUp:
    """Rings when a text may have appeared."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._poll_s = POLL_S

    def wait(self, stop: threading.Event) -> None:
        """Return when the database announces texts, when it is time to look, or at
        `stop`. A database that is away is waited for by whoever looks next.
        """
        look_at = time.monotonic() + self._poll_s
        while not stop.is_set() and time.monotonic() < look_at:
            try:
                if self._listener.wait(STEP_S):
                    self._poll_s = POLL_WHEN_NOTIFIED_S
                    return
            except UnavailableError as error:
                log.warning("%s", error)
                self._poll_s = POLL_S
                stop.wait(POLL_S)
                return
