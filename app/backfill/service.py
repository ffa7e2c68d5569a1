"""The backfill inside the service: `EMBED_IN_SERVICE=true`.

One thread over the service's own model and connections, one text at a time, in the
gaps between requests. Instances share the work by their claims.
"""

import logging
import os
import threading
from contextlib import suppress

from app.backfill.vectors import VectorFilling
from app.backfill.vocabulary import VocabularyKeeper
from app.backfill.watch import ModelWork, Work
from app.backfill.worker import Backfill
from app.batching.activity import IdleTracker
from app.encoder.current import CurrentModel
from app.encoder.passages import PassageEncoder
from app.errors import AppError
from app.storage.connection.database import Database
from app.storage.entity import ENTITIES

log = logging.getLogger(__name__)

IDLE_POLL_S = 2.0
# After an error: the database is away, or a migration is missing.
ERROR_PAUSE_S = 15.0

# A batch is stored when its last text is done: few, or a busy service would hold
# finished ones back for minutes.
SERVICE_ROWS = 4
# Vectors are a hundred times cheaper than embeddings: some ten milliseconds.
VECTOR_ROWS = 50

# A request that arrives while a text is encoded waits for it. Within RECENT_S after a
# request the backfill takes SHARE of the time; without a gap it encodes a text every
# STARVED_S.
RECENT_S = 5.0
SHARE = 1 / 20
LONGEST_BREAK_S = 5.0
STARVED_S = 2.0

NICENESS = 10


class ServiceBackfill:
    """Makes what waits while requests leave time for it."""

    def __init__(
        self, database: Database, model: CurrentModel, activity: IdleTracker
    ) -> None:
        self._database = database
        self._model = model
        self._activity = activity
        self._stop = threading.Event()
        self._work = ModelWork(database, self._build, model.current.version)
        self._thread = threading.Thread(target=self._run, name="backfill", daemon=True)

    def _build(self, version: str) -> Work:
        encoder = self._model.use(version)
        vocabulary = VocabularyKeeper(
            self._database,
            encoder,
            slice_skills=1,
            stays_up=True,
            stop=self._stop,
            throttle=self._throttle,
        )
        backfills = [
            Backfill(
                self._database,
                PassageEncoder(encoder) if entity == "jobs" else encoder,
                vocabulary=vocabulary,
                entity=entity,
                batch_size=SERVICE_ROWS,
                slice_rows=1,
                patience_s=0.0,
                stop=self._stop,
                throttle=self._throttle,
            )
            for entity in ENTITIES
        ]
        vectors = VectorFilling(
            self._database,
            version=version,
            stop=self._stop,
            batch_rows=VECTOR_ROWS,
            patience_s=0.0,
            throttle=self._throttle,
        )
        return Work(backfills, vocabulary, vectors)

    def start(self) -> None:
        self._thread.start()

    def close(self, *, timeout_s: float = 5.0) -> None:
        """Let the text that is being encoded finish, and give the rest back."""
        self._stop.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        _lower_priority()
        was_well = True
        while not self._stop.is_set():
            try:
                self._turn()
            except AppError as error:
                # Once: the requests' own errors say the same.
                if was_well and not self._stop.is_set():
                    log.warning("The backfill pauses: %s", error)
                was_well = False
                self._stop.wait(ERROR_PAUSE_S)
            else:
                was_well = True
                self._stop.wait(IDLE_POLL_S)

    def _turn(self) -> None:
        work = self._work.current()
        if not work.any_waiting():
            return
        rows = sum(done.embedded + done.split for done in work.run())
        if rows:
            log.info("%d rows embedded and split.", rows)

    def _throttle(self, spent_s: float) -> None:
        if self._activity.idle_s() < RECENT_S:
            self._stop.wait(min(spent_s / SHARE, LONGEST_BREAK_S))
        self._activity.wait_for_gap(STARVED_S)


def _lower_priority() -> None:
    """Let requests' threads go first where both want the processor (Linux)."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
