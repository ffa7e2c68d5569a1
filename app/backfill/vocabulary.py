"""Keeps the vocabulary of skills: adds the skills of rows, embeds those of another
model again, counts how many jobs list each skill, and removes unused skills.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.backfill.counting import count_jobs, used_skills
from app.backfill.isolation import encode_rows
from app.backfill.patience import Tried, retry_with_backoff, statement_deadline
from app.encoder import Encoder
from app.ranking.skills.parse import SPLIT_VERSION
from app.storage import coverage, models, resplit, skills
from app.storage.claims import TextRow
from app.storage.connection.database import Database
from app.storage.connection.transaction import Transaction
from app.storage.skill_counts import jobs_counted
from app.storage.skills import VocabularyState

log = logging.getLogger(__name__)

# As autovacuum before it analyses a table: this many changed rows and this share of it.
RECOUNT_ROWS = 50
RECOUNT_SHARE = 0.1

# Stale skills that are looked for at once.
PAGE_SKILLS = 512

# Jobs that were deleted so long ago need not be known any more.
FORGET_AFTER_S = 7 * 24 * 3600.0


class VocabularyKeeper:
    """The vocabulary for one model's version. `stop` ends what runs after a slice,
    whose skills are kept; `throttle` is called after a slice with its seconds.

    It counts anew when jobs changed: of one that `stays_up` only when many did, or each
    edit would have every list read.
    """

    def __init__(
        self,
        database: Database,
        encoder: Encoder,
        *,
        slice_skills: int = 512,
        stays_up: bool = False,
        patience_s: float = 0.0,
        stop: threading.Event | None = None,
        throttle: Callable[[float], None] = lambda _spent_s: None,
    ) -> None:
        self._database = database
        self._encoder = encoder
        self._slice_skills = slice_skills
        self._stays_up = stays_up
        self._patience_s = patience_s
        self._stop = stop or threading.Event()
        self._throttle = throttle
        self._is_announced = False
        # Jobs that were stored since the last count.
        self._uncounted = 0
        # Where no skill was stale: looking for one reads the whole vocabulary.
        self._renewed: VocabularyState | None = None

    def learn(
        self, keys: Sequence[str], *, is_wanted: Callable[[], bool] = lambda: True
    ) -> int:
        """Add those that the vocabulary lacks, slice by slice, until `stop`, or until
        they are not wanted any more: how many.
        """
        known = self._read(
            lambda tx: skills.known_skills(tx, keys, version=self._encoder.version)
        )
        new = [key for key in keys if key not in known]
        for first in range(0, len(new), self._slice_skills):
            if self._stop.is_set() or not is_wanted():
                return first
            self._add(new[first : first + self._slice_skills])
        return len(new)

    def renew(self) -> Iterator[int]:
        """Embed the skills that another model made, or none: how many each page. First
        of all, a database that is a copy is noticed, and a model that is the first one.
        """
        self._write(coverage.adopt)
        if not self._is_announced:
            model = self._encoder
            self._write(lambda tx: models.use_model(tx, model.version, model.dimension))
        if not self._is_announced or self._read(_is_split_by_older):
            # Again where an older version was started beside this one; never by that
            # one, so that the two do not undo one another.
            self._write(lambda tx: resplit.use_split(tx, SPLIT_VERSION))
        self._is_announced = True
        yield from self.embed_stale()

    def embed_stale(self) -> Iterator[int]:
        """Embed the skills that this model has not embedded: how many each page."""
        while stale := self._stale():
            yield self.learn(stale)
            if self._stop.is_set():
                return

    def any_due(self) -> bool:
        """Whether `renew` or `finish` may be due; asked without a scan."""

        def look(transaction: Transaction) -> bool:
            if _uncounted(skills.vocabulary_state(transaction)) != self._renewed:
                return True
            return jobs_counted(transaction) is None or _is_split_by_older(transaction)

        return self._read(look)

    def finish(self, *, jobs: int) -> None:
        """After a run that stored `jobs`: count, if it is due, and forget jobs that
        were deleted long ago.
        """
        self._uncounted += jobs
        if self._stop.is_set():
            return
        if self._count_is_due():
            self.count()
        if jobs:
            self._write(lambda tx: coverage.forget_deleted(tx, age_s=FORGET_AFTER_S))

    def count(self) -> None:
        """Count anew how many jobs list each skill."""
        self._write(count_jobs)
        self._uncounted = 0

    def count_stale(self) -> int:
        """Skills to embed for the current model."""
        return self._read(
            lambda tx: skills.count_stale_skills(tx, version=self._encoder.version)
        )

    def remove_unused(self) -> int:
        """Delete the skills that no row of either table has: how many there were.

        Every cache of the vocabulary is then built anew: not for every day.
        """

        def remove(transaction: Transaction) -> int:
            # First, so that the ids that are read next are all there are.
            skills.lock_vocabulary(transaction, alone=True)
            used = used_skills(transaction)
            return skills.remove_skills_except(transaction, sorted(used))

        removed = self._write(remove)
        if removed:
            self.count()
        return removed

    def _add(self, keys: Sequence[str]) -> None:
        start = time.monotonic()
        vectors = self._vectors(keys)
        version = self._encoder.version
        self._write(lambda tx: skills.store_skills(tx, keys, vectors, version=version))
        self._throttle(time.monotonic() - start)

    def _vectors(self, keys: Sequence[str]) -> NDArray[np.float32]:
        """(n, dimension). Zeros where the encoder fails: a skill like no other keeps
        its row from waiting for ever, and the row's other skills from being left out.
        """
        encoded = encode_rows(self._encoder, [TextRow(key, key) for key in keys])
        for refusal in encoded.refusals:
            log.warning("A skill will match nothing. %s", refusal.reason)
        texts = (row.skills for row in encoded.rows)
        found = dict(zip(texts, encoded.embeddings, strict=True))
        nothing = np.zeros(self._encoder.dimension, np.float32)
        vectors = [found.get(key) for key in keys]
        return np.array([nothing if v is None else v for v in vectors], np.float32)

    def _stale(self) -> Sequence[str]:
        """Some skills without a sound embedding of this version. Remembers that there
        are none for as long as nobody writes to the vocabulary.
        """

        def look(transaction: Transaction) -> Sequence[str]:
            state = _uncounted(skills.vocabulary_state(transaction))
            if state == self._renewed:
                return ()
            stale = skills.next_stale_skills(
                transaction, limit=PAGE_SKILLS, version=self._encoder.version
            )
            self._renewed = None if stale else state
            return stale

        return self._read(look)

    def _count_is_due(self) -> bool:
        counted = self._read(jobs_counted)
        if counted is None:
            return True
        if self._stays_up:
            return self._uncounted > RECOUNT_ROWS + RECOUNT_SHARE * counted
        return self._uncounted > 0

    def _read(self, action: Callable[[Transaction], Tried]) -> Tried:
        def read() -> Tried:
            with self._database.snapshot(statement_deadline()) as transaction:
                return action(transaction)

        return retry_with_backoff(read, stop=self._stop, patience_s=self._patience_s)

    def _write(self, action: Callable[[Transaction], Tried]) -> Tried:
        def write() -> Tried:
            with self._database.write(statement_deadline()) as transaction:
                return action(transaction)

        return retry_with_backoff(write, stop=self._stop, patience_s=self._patience_s)


def _is_split_by_older(transaction: Transaction) -> bool:
    return resplit.split_state(transaction).version < SPLIT_VERSION


def _uncounted(state: VocabularyState) -> VocabularyState:
    """What changes with the skills, and not with a count."""
    return replace(state, counts_stamp=None, calibration=None)
