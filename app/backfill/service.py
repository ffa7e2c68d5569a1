"""The backfill inside the service: `EMBED_IN_SERVICE=true`.

One thread of one instance at a time, over the service's own model and connections,
one text at a time, in the gaps between requests.
"""

import logging
import os
import threading
from collections.abc import Sequence
from contextlib import suppress

from app.backfill.skills import SkillBackfill
from app.backfill.vectors import VectorFilling
from app.backfill.worker import Backfill
from app.batching.activity import IdleTracker
from app.deadline import Deadline
from app.encoder import Encoder
from app.errors import AppError
from app.storage.connection.database import Database
from app.storage.lease import Lease
from app.storage.tables import JOBS, USERS

log = logging.getLogger(__name__)

POLL_S = 2.0
TIMEOUT_S = 10.0
# After an error: the database is away, or a migration is missing.
PAUSE_S = 15.0

# Another instance takes over so long after this one died.
LEASE_S = 60.0
# A batch is stored when its last text is done: few, or a busy service would hold
# finished ones back for minutes.
SCAN_CHUNK_ROWS = 4
# Their skills need no such haste: each is stored by itself.
SKILL_PAGE_ROWS = 32
# Vectors are a hundred times cheaper than embeddings: some ten milliseconds.
VECTOR_ROWS = 50

# A request that arrives while a text is encoded waits for it. In times with requests
# only one in so many meets that, and in a time without any gap there is one text in
# so many seconds.
RECENT_S = 5.0
SHARE = 1 / 20
LONGEST_PAUSE_S = 5.0
STARVED_S = 2.0

NICENESS = 10


class ServiceBackfill:
    """Embeds what waits while requests leave time for it."""

    def __init__(
        self,
        database: Database,
        encoder: Encoder,
        activity: IdleTracker,
        *,
        passages: Encoder,
    ) -> None:
        """`encoder` is for users' texts and for skills, `passages` for jobs' texts."""
        self._database = database
        self._activity = activity
        self._stop = threading.Event()
        self._lease = Lease("service", LEASE_S)
        self._backfills: Sequence[Backfill] = [
            Backfill(
                database,
                text_encoder,
                table=table,
                batch_size=SCAN_CHUNK_ROWS,
                slice_rows=1,
                patience_s=0.0,
                stop=self._stop,
                may_run=self._take_lease,
                throttle=self._pace,
            )
            for table, text_encoder in ((JOBS, passages), (USERS, encoder))
        ]
        self._skills = SkillBackfill(
            database,
            encoder,
            page_rows=SKILL_PAGE_ROWS,
            slice_skills=1,
            stays_up=True,
            stop=self._stop,
            may_run=self._take_lease,
            throttle=self._pace,
        )
        self._vectors = VectorFilling(
            database,
            version=encoder.version,
            stop=self._stop,
            scan_chunk_rows=VECTOR_ROWS,
            patience_s=0.0,
        )
        self._thread = threading.Thread(target=self._work, name="backfill", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, *, timeout_s: float = 5.0) -> None:
        """Let the text that is being encoded finish, and give the rest back."""
        self._stop.set()
        self._thread.join(timeout_s)

    def _work(self) -> None:
        _lower_priority()
        was_well = True
        while not self._stop.is_set():
            try:
                self._turn()
            except AppError as error:
                # Once: the requests' own errors say the same.
                if was_well:
                    log.warning("The backfill pauses: %s", error)
                was_well = False
                self._stop.wait(PAUSE_S)
            else:
                was_well = True
                self._stop.wait(POLL_S)

    def _turn(self) -> None:
        if self._is_elsewhere():
            return
        waiting = [backfill for backfill in self._backfills if backfill.any_waiting()]
        skills_wait = self._skills.any_waiting()
        vectors_wait = self._vectors.waiting()
        if not waiting and not skills_wait and not vectors_wait:
            return
        try:
            for backfill in waiting:
                self._run(backfill)
            if skills_wait:
                self._split()
            if vectors_wait and self._take_lease():
                self._make_vectors()
        finally:
            self._release_lease()

    def _run(self, backfill: Backfill) -> None:
        embedded = 0
        for done in backfill.run(wait_for_claims=False):
            embedded += done.embedded
        if embedded:
            log.info("%d %s embedded.", embedded, backfill.table.rows)

    def _split(self) -> None:
        rows = sum(done.rows for done in self._skills.run())
        if rows:
            log.info("%d texts split.", rows)

    def _make_vectors(self) -> None:
        """For SEARCH_BACKEND=pgvector, of embeddings that others have stored."""
        for _ in self._vectors.run():
            self._activity.wait_for_gap(STARVED_S)
            if not self._take_lease():
                return

    def _pace(self, spent_s: float) -> None:
        if self._activity.idle_s() < RECENT_S:
            self._stop.wait(min(spent_s / SHARE, LONGEST_PAUSE_S))
        self._activity.wait_for_gap(STARVED_S)

    def _is_elsewhere(self) -> bool:
        with self._database.snapshot(Deadline.after(TIMEOUT_S)) as transaction:
            return self._lease.is_taken(transaction)

    def _take_lease(self) -> bool:
        with self._database.write(Deadline.after(TIMEOUT_S)) as transaction:
            return self._lease.take(transaction)

    def _release_lease(self) -> None:
        # Without the database it expires.
        with (
            suppress(AppError),
            self._database.write(Deadline.after(TIMEOUT_S)) as transaction,
        ):
            self._lease.release(transaction)


def _lower_priority() -> None:
    """Let requests' threads go first where both want the processor (Linux)."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
