"""A worker: any number of them, on any number of machines, share one table's rows."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

from app.backfill.claim_store import NO_SPLIT, Batch, ClaimStore, SplitTexts
from app.backfill.isolation import Encoded, RowFailure, encode_rows
from app.backfill.resplit import Resplit
from app.backfill.vocabulary import VocabularyKeeper
from app.encoder import Encoder
from app.query.ids import Id
from app.storage.claims import MOST_STORES, MOST_TRIES, Failure, TextRow
from app.storage.connection.database import Database
from app.storage.coverage import Coverage
from app.storage.entity import EntityName

# A dead worker's rows wait so long for another. A living one renews its claim.
LEASE_S = 60.0
# A database may be away so long: an upgrade, a failover.
PATIENCE_S = 600.0
# Texts encoded between two looks at the clock and at `stop`.
SLICE_ROWS = 16
# How often it looks whether rows that others had claimed came free.
POLL_S = 0.25
NOT_KEPT = "The database took the embedding and did not keep it; is a trigger why?"
TAKEN_AWAY = (
    f"Its embedding was stored {MOST_STORES} times within an hour and taken away again;"
    " what writes to the row?"
)


@dataclass(frozen=True)
class Progress:
    """One batch: rows that now have an embedding and skill ids; rows that had an
    embedding and now have skill ids; rows that were edited, deleted or locked in
    between, and stay as they are; rows put into quarantine; and new skills.
    """

    embedded: int = 0
    split: int = 0
    changed: int = 0
    quarantined: int = 0
    skills: int = 0

    def __add__(self, other: "Progress") -> "Progress":
        names = (field.name for field in fields(self))
        return Progress(
            **{name: getattr(self, name) + getattr(other, name) for name in names}
        )

    @property
    def settled(self) -> int:
        """Rows of the batch that need no more work."""
        return self.embedded + self.split + self.quarantined

    @property
    def seen(self) -> int:
        """Rows of the batch."""
        return self.settled + self.changed


def _at_once(_spent_s: float) -> None:
    pass


class Backfill:
    """Makes what the rows of one table wait for: the embedding of the text, and the ids
    of its skills.

    `stop` ends `run` after the slice that is being encoded. `throttle` is called after
    a slice with the seconds that it took: the service keeps out of its requests' way.
    """

    def __init__(
        self,
        database: Database,
        encoder: Encoder,
        *,
        batch_size: int,
        entity: EntityName = "jobs",
        vocabulary: VocabularyKeeper | None = None,
        beside: bool = False,
        slice_rows: int = SLICE_ROWS,
        lease_s: float = LEASE_S,
        patience_s: float = PATIENCE_S,
        stop: threading.Event | None = None,
        throttle: Callable[[float], None] = _at_once,
    ) -> None:
        """`vocabulary`: where its rows' skills are added; None for one of its own.
        `beside`: the model is not the one in use; a `run` passes once over the rows,
        for embeddings alone.
        """
        self.entity, self.version = entity, encoder.version
        self._beside = beside
        self._stop = stop or threading.Event()
        self._encoder = encoder
        self._vocabulary = vocabulary or VocabularyKeeper(
            database, encoder, patience_s=patience_s, stop=self._stop, throttle=throttle
        )
        self._batch_size = batch_size
        self._slice_rows = slice_rows
        self._lease_s = lease_s
        self._throttle = throttle
        self._store = ClaimStore(
            database,
            entity,
            version=encoder.version,
            lease_s=lease_s,
            patience_s=patience_s,
            stop=self._stop,
            beside=beside,
        )
        self._resplit = Resplit(
            self._store, self._vocabulary, stop=self._stop, throttle=throttle
        )
        self._after: Id | None = None
        self._tries: dict[TextRow, int] = {}
        self._renewed_at = 0.0

    def coverage(self) -> Coverage:
        """The rows by state."""
        return self._store.coverage()

    def remaining(self) -> int:
        """How many rows wait; those in quarantine do not. An index answers."""
        return self._store.waiting()

    def missing(self) -> int:
        """How many rows a model beside the one in use has not embedded."""
        return self._store.transact(lambda tx, claims: claims.count_missing(tx))

    def others_hold_rows(self) -> bool:
        """Whether workers, or workers not dead for long, have rows claimed."""
        return self._store.others_hold_rows()

    def any_waiting(self) -> bool:
        """Whether there is something to do; asked without a write or a scan."""
        return self._store.any_waiting() or self._resplit.any_due()

    def failures(self) -> list[Failure]:
        """The rows in quarantine."""
        return self._store.failures()

    def retry_failures(self) -> int:
        """Let all rows out of quarantine; the next `run` tries them again."""
        return self._store.forget_failures()

    def run(
        self, *, limit: int | None = None, wait_for_claims: bool = True
    ) -> Iterator[Progress]:
        """Embed and split batch after batch until no row waits; at most `limit` rows.

        Each batch is committed on its own. With `wait_for_claims` it also waits for
        rows that other workers have claimed: these may die, and their claims run out.
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
            done = self._finish(batch)
            left = None if left is None else left - done.seen
            yield done

    def split_again(self) -> Iterator[Progress]:
        """Split rows again whose skills are those of other splitting; rows that wait
        come first.
        """
        for count in self._resplit.run():
            yield Progress(split=count)
            if self._store.any_waiting():
                yield from self.run(wait_for_claims=False)

    def _next(self, left: int | None) -> Batch | None:
        """Claim rows in the order of their ids, and from the start again at the end,
        for rows that were edited or released in between.
        """
        size = self._batch_size if left is None else min(left, self._batch_size)
        batch = self._store.take(after=self._after, limit=size)
        if batch is None and self._after is not None and not self._beside:
            batch = self._store.take(after=None, limit=size)
        self._after = batch.rows[-1].id if batch else None
        self._renewed_at = time.monotonic()
        return batch

    def _finish(self, batch: Batch) -> Progress:
        try:
            encoded = self._encode(batch)
            texts = NO_SPLIT if self._beside else self._store.split(encoded.rows)
            skills = self._learn(batch, texts)
            result = self._store.store(batch, encoded, texts)
        except BaseException:
            self._store.give_back(batch)
            raise
        if result is None:
            return Progress(changed=len(batch.rows), skills=skills)
        stored = [row for row in encoded.rows if str(row.id) in result.stored.ids]
        lost = [
            row for row in encoded.rows if str(row.id) in result.stored.not_persisted
        ]
        quarantined = len(result.refusals) + self._pass_over(lost, result.refusals)
        split = sum(row.is_embedded for row in stored)
        seen = len(encoded.rows) + len(encoded.refusals)
        return Progress(
            embedded=len(stored) - split,
            split=split,
            changed=seen - len(stored) - quarantined,
            quarantined=quarantined,
            skills=skills,
        )

    def _encode(self, batch: Batch) -> Encoded:
        """What there is when it is stopped, or when the claim was lost."""
        encoded = Encoded()
        for row in batch.rows:
            if row.is_tried and not row.is_embedded:
                encoded.refusals.append(RowFailure(row, TAKEN_AWAY))
            elif row.is_embedded:
                encoded += Encoded([row], [None])
        seen = {*encoded.rows, *(refusal.row for refusal in encoded.refusals)}
        rows = [row for row in batch.rows if row not in seen]
        for first in range(0, len(rows), self._slice_rows):
            start = time.monotonic()
            part = rows[first : first + self._slice_rows]
            encoded += encode_rows(self._encoder, part)
            self._throttle(time.monotonic() - start)
            if self._stop.is_set() or not self._is_kept(batch):
                break
        return encoded

    def _learn(self, batch: Batch, texts: SplitTexts) -> int:
        keys = texts.keys.values()
        wanted = list(dict.fromkeys(key for row in keys for key in row))
        return self._vocabulary.learn(wanted, is_wanted=lambda: self._is_kept(batch))

    def _is_kept(self, batch: Batch) -> bool:
        """Renew the claim now and then; False when it was lost to another worker."""
        if time.monotonic() - self._renewed_at < self._lease_s / 3:
            return True
        self._renewed_at = time.monotonic()
        return self._store.renew(batch)

    def _pass_over(self, lost: list[TextRow], refusals: Sequence[RowFailure]) -> int:
        """Count the failures of rows that are not in quarantine yet, put those that
        fail for ever into it, and say how many these were.
        """
        if self._beside:
            return 0
        known = {refusal.row for refusal in refusals}
        lost = [row for row in lost if row not in known]
        for row in lost:
            self._tries[row] = self._tries.get(row, 0) + 1
        stubborn = [row for row in lost if self._tries[row] >= MOST_TRIES]
        for row in stubborn:
            self._store.quarantine(RowFailure(row, NOT_KEPT))
        return len(stubborn)
