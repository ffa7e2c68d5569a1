"""Fills the vocabulary and the skill ids: texts -> skills -> embeddings -> ids.

As the backfill of embeddings: pages by key, encoding outside of transactions, and
compare-and-set on the text, so that an edit meanwhile keeps its row pending. It claims
nothing: workers that split the same page at once do the work twice, and store the same.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.backfill.isolation import encode_rows
from app.backfill.skill_store import SkillStore
from app.encoder import Encoder
from app.query.ids import Id
from app.ranking.skills.parse import split_skills
from app.storage.claims import TextRow
from app.storage.codec import DIMENSION
from app.storage.connection.database import Database
from app.storage.sides import Side
from app.storage.tables import JOBS, USERS, EmbeddedTable

log = logging.getLogger(__name__)

# As autovacuum does before it analyses a table: so many rows, and so much of it.
RECOUNT_ROWS = 50
RECOUNT_SHARE = 0.1


@dataclass(frozen=True)
class SkillProgress:
    """One page: rows that now have skill ids, and skills that were embedded for them;
    rows that were edited, deleted, locked or refused meanwhile, and stay pending.
    """

    rows: int = 0
    skills: int = 0
    changed: int = 0


class SkillBackfill:
    """Splits the texts of jobs and users that have no skill ids yet.

    `stop` ends `run` after the slice that is being embedded, whose skills are kept.
    `may_run` is asked before a page, `throttle` called after a slice, as in `Backfill`.

    At the end of a run that changed jobs it counts how many list each skill: of one
    that `stays_up` only where many did, or each edit would have every list read.
    """

    def __init__(
        self,
        database: Database,
        encoder: Encoder,
        *,
        tables: Sequence[EmbeddedTable] = (JOBS, USERS),
        page_rows: int = 512,
        slice_skills: int = 512,
        stays_up: bool = False,
        patience_s: float = 0.0,
        stop: threading.Event | None = None,
        may_run: Callable[[], bool] = lambda: True,
        throttle: Callable[[float], None] = lambda _spent_s: None,
    ) -> None:
        self._encoder = encoder
        self._page_rows = page_rows
        self._slice_skills = slice_skills
        self._stop = stop or threading.Event()
        self._admit = may_run
        self._pace = throttle
        self._stays_up = stays_up
        # Jobs that were split since the last count.
        self._uncounted = 0
        self._store = SkillStore(
            database,
            tables,
            version=encoder.version,
            patience_s=patience_s,
            stop=self._stop,
        )

    def remaining(self) -> int:
        """Rows to split, and skills to embed for the current model."""
        return self._store.remaining()

    def any_waiting(self) -> bool:
        """Whether there may be something to do; asked without a write or a scan."""
        return self._store.any_waiting()

    def remove_unused(self) -> int:
        """Delete the skills that no row has; returns how many there were.

        Every cache of the vocabulary is then built anew: not for every day.
        """
        removed = self._store.remove_unused()
        if removed:
            self._store.count()
        return removed

    def run(self, *, limit: int | None = None) -> Iterator[SkillProgress]:
        """Page after page, each committed on its own; about `limit` rows. Run it again
        to go on, and for rows that changed meanwhile.
        """
        yield from self._renew_stale_skills()
        yield from self._split_all(limit)
        if self._count_is_due() and self._goes_on():
            self._store.count()
            self._uncounted = 0

    def _split_all(self, limit: int | None) -> Iterator[SkillProgress]:
        rows = 0
        for side in self._store.sides():
            for done in self._split(side):
                if side.table == JOBS.name:
                    self._uncounted += done.rows
                yield done
                rows += done.rows + done.changed
                if limit is not None and rows >= limit:
                    return

    def _count_is_due(self) -> bool:
        counted = self._store.counted()
        if counted is None:
            return True
        if self._stays_up:
            return self._uncounted > RECOUNT_ROWS + RECOUNT_SHARE * counted
        return self._uncounted > 0

    def _renew_stale_skills(self) -> Iterator[SkillProgress]:
        while stale := self._store.stale(limit=self._page_rows):
            if not self._goes_on():
                return
            yield SkillProgress(skills=self._embed(stale))

    def _split(self, side: Side) -> Iterator[SkillProgress]:
        after: Id | None = None
        while True:
            page = self._store.page(side, after=after, limit=self._page_rows)
            if not page or not self._goes_on():
                return
            yield self._split_page(side, page)
            after = page[-1].id

    def _split_page(self, side: Side, page: Sequence[TextRow]) -> SkillProgress:
        keys = [[skill.key for skill in split_skills(row.skills)] for row in page]
        wanted = list(dict.fromkeys(key for row in keys for key in row))
        embedded = self._embed(self._store.unknown(wanted))
        if self._stop.is_set():
            return SkillProgress(skills=embedded)
        start = time.monotonic()
        stored = self._store.store(side, page, keys)
        self._pace(time.monotonic() - start)
        return SkillProgress(stored, embedded, changed=len(page) - stored)

    def _embed(self, new: Sequence[str]) -> int:
        """Add the skills to the vocabulary, slice by slice; how many until `stop`."""
        for first in range(0, len(new), self._slice_skills):
            if self._stop.is_set():
                return first
            start = time.monotonic()
            part = new[first : first + self._slice_skills]
            self._store.add(part, self._vectors(part))
            self._pace(time.monotonic() - start)
        return len(new)

    def _vectors(self, keys: Sequence[str]) -> NDArray[np.float32]:
        """(n, 384). Zeros where the encoder fails: a skill like no other keeps its row
        from waiting for ever, and the row's other skills from being left out.
        """
        encoded = encode_rows(self._encoder, [TextRow(key, key) for key in keys])
        for refusal in encoded.refusals:
            log.warning("A skill will match nothing. %s", refusal.reason)
        texts = (row.skills for row in encoded.rows)
        found = dict(zip(texts, encoded.embeddings, strict=True))
        nothing = np.zeros(DIMENSION, np.float32)
        return np.array([found.get(key, nothing) for key in keys], np.float32)

    def _goes_on(self) -> bool:
        return not self._stop.is_set() and self._admit()
