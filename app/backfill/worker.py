"""A worker: any number of them, on any number of machines, share one table's rows."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from app.backfill.claim_store import Batch, ClaimStore
from app.backfill.isolation import Encoded, RowFailure, encode_rows
from app.encoder import Encoder
from app.query.ids import Id
from app.storage.claims import Failure, TextRow
from app.storage.connection.database import Database
from app.storage.coverage import Coverage
from app.storage.tables import JOBS, EmbeddedTable

# A dead worker's rows wait so long for another. A living one renews its claim.
LEASE_S = 60.0
# A database may be away so long: an upgrade, a failover.
PATIENCE_S = 600.0
# Texts encoded between two looks at the clock and at `stop`.
SLICE_ROWS = 16
# How often it looks whether rows that others had claimed came free.
POLL_S = 0.25
# A text that was embedded so often and never stored, though nobody changed it.
MOST_TRIES = 3
PASSED_OVER = "The database took the embedding and did not keep it; is a trigger why?"


@dataclass(frozen=True)
class Progress:
    """One batch: rows that now carry an embedding; rows that were edited, deleted or
    locked meanwhile, and keep what they have; rows put into quarantine.
    """

    embedded: int = 0
    changed: int = 0
    quarantined: int = 0

    def __add__(self, other: "Progress") -> "Progress":
        return Progress(
            self.embedded + other.embedded,
            self.changed + other.changed,
            self.quarantined + other.quarantined,
        )

    @property
    def seen(self) -> int:
        """Rows of the batch."""
        return self.embedded + self.changed + self.quarantined


def _always() -> bool:
    return True


def _at_once(_spent_s: float) -> None:
    pass


class Backfill:
    """Embeds rows of one table that have no sound embedding of this model.

    `stop` ends `run` after the slice that is being encoded. `may_run` is asked before
    a claimed batch is encoded, and `throttle` is called after a slice with the seconds
    that it took: the service uses both to keep out of its requests' way.
    """

    def __init__(
        self,
        database: Database,
        encoder: Encoder,
        *,
        batch_size: int,
        table: EmbeddedTable = JOBS,
        slice_rows: int = SLICE_ROWS,
        lease_s: float = LEASE_S,
        patience_s: float = PATIENCE_S,
        stop: threading.Event | None = None,
        may_run: Callable[[], bool] = _always,
        throttle: Callable[[float], None] = _at_once,
    ) -> None:
        self.table = table
        self._stop = stop or threading.Event()
        self._encoder = encoder
        self._batch_size = batch_size
        self._slice_rows = slice_rows
        self._lease_s = lease_s
        self._admit = may_run
        self._pace = throttle
        self._store = ClaimStore(
            database,
            table,
            version=encoder.version,
            lease_s=lease_s,
            patience_s=patience_s,
            stop=self._stop,
        )
        self._after: Id | None = None
        self._tries: dict[TextRow, int] = {}

    def coverage(self) -> Coverage:
        """The rows by state."""
        return self._store.coverage()

    def remaining(self) -> int:
        """How many rows wait for an embedding; those in quarantine do not."""
        return self.coverage().waiting

    def any_waiting(self) -> bool:
        """Whether there may be something to do; asked without a write or a scan."""
        return self._store.any_waiting()

    def failures(self) -> list[Failure]:
        """The rows in quarantine."""
        return self._store.failures()

    def retry_failures(self) -> int:
        """Let all rows out of quarantine; the next `run` tries them again."""
        return self._store.forget_failures()

    def run(
        self, *, limit: int | None = None, wait_for_claims: bool = True
    ) -> Iterator[Progress]:
        """Embed batch after batch until no row waits; at most `limit` rows.

        Each batch is committed on its own. With `wait_for_claims` it also waits for
        rows that other workers have claimed: their claims may run out.
        """
        left = limit
        self._tries.clear()
        while not self._stop.is_set() and (left is None or left > 0):
            batch = self._next(left)
            if batch is None:
                if not (wait_for_claims and self._store.others_hold_rows()):
                    return
                self._stop.wait(POLL_S)
                continue
            if not self._admit():
                self._store.give_back(batch)
                return
            done = self._finish(batch)
            left = None if left is None else left - done.seen
            yield done

    def _next(self, left: int | None) -> Batch | None:
        """Claim rows in the order of their ids, and from the start again at the end:
        rows edited or given back meanwhile lie behind.
        """
        size = self._batch_size if left is None else min(left, self._batch_size)
        batch = self._store.take(after=self._after, limit=size)
        if batch is None and self._after is not None:
            batch = self._store.take(after=None, limit=size)
        self._after = batch.rows[-1].id if batch else None
        return batch

    def _finish(self, batch: Batch) -> Progress:
        try:
            encoded = self._encode(batch)
            handed_in = self._store.store(batch, encoded) if encoded else None
        except BaseException:
            self._store.give_back(batch)
            raise
        if encoded is None or handed_in is None:
            return Progress(changed=len(batch.rows))
        stored = handed_in.stored
        not_persisted = [
            row for row in encoded.rows if str(row.id) in stored.not_persisted
        ]
        refusals = handed_in.refusals
        quarantined = len(refusals) + self._pass_over(not_persisted, refusals)
        embedded = len(stored.ids)
        seen = len(encoded.rows) + len(encoded.refusals)
        return Progress(embedded, seen - embedded - quarantined, quarantined)

    def _encode(self, batch: Batch) -> Encoded | None:
        """None when the claim was lost; what there is when it was stopped."""
        encoded = Encoded()
        renewed_at = start = time.monotonic()
        for first in range(0, len(batch.rows), self._slice_rows):
            rows = batch.rows[first : first + self._slice_rows]
            encoded += encode_rows(self._encoder, rows)
            self._pace(time.monotonic() - start)
            if self._stop.is_set():
                break
            start = time.monotonic()
            if start - renewed_at > self._lease_s / 3:
                if not self._store.renew(batch):
                    return None
                renewed_at = start
        return encoded

    def _pass_over(
        self, not_persisted: list[TextRow], refusals: Sequence[RowFailure]
    ) -> int:
        """Count the failures of rows that are not in quarantine yet, put those that
        fail for ever into it, and say how many these were.
        """
        known = {refusal.row for refusal in refusals}
        not_persisted = [row for row in not_persisted if row not in known]
        for row in not_persisted:
            self._tries[row] = self._tries.get(row, 0) + 1
        stubborn = [row for row in not_persisted if self._tries[row] >= MOST_TRIES]
        for row in stubborn:
            self._store.quarantine(RowFailure(row, PASSED_OVER))
        return len(stubborn)
