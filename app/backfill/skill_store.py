"""Where the backfill of skills gets its rows and hands in what came of them: short
transactions that are tried again while the database is away.
"""

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from app.backfill.counting import count_jobs
from app.backfill.patience import retry_with_backoff
from app.deadline import Deadline
from app.errors import RowRejectedError
from app.query.ids import Id
from app.storage import skills
from app.storage.catalogue import Catalogue
from app.storage.claims import TextRow
from app.storage.connection.database import Database
from app.storage.connection.transaction import Transaction
from app.storage.copy.skill_ids import SkillIdChunk, skill_reader
from app.storage.sides import Side, job_side, side_of, user_side
from app.storage.skill_counts import jobs_counted
from app.storage.skills import VocabularyState
from app.storage.tables import JOBS, EmbeddedTable

T = TypeVar("T")

# For one statement of one page; the encoding happens outside of transactions.
STATEMENT_TIMEOUT_S = 60.0


class SkillStore:
    """The vocabulary, and the skill ids of some tables, for one model's version."""

    def __init__(
        self,
        database: Database,
        tables: Sequence[EmbeddedTable],
        *,
        version: str,
        patience_s: float,
        stop: threading.Event,
    ) -> None:
        self._database = database
        self._tables = tables
        self._version = version
        self._patience_s = patience_s
        self._stop = stop
        # Where no skill was stale: looking for one reads the whole vocabulary.
        self._renewed: VocabularyState | None = None

    def remaining(self) -> int:
        """Rows to split, and skills to embed for the current model."""

        def count(transaction: Transaction) -> int:
            stale = skills.count_stale_skills(transaction, version=self._version)
            return stale + sum(
                skills.count_unsplit(transaction, side)
                for side in self._sides(transaction)
            )

        return self._read(count)

    def any_waiting(self) -> bool:
        """Whether there may be something to do; asked without a scan."""

        def look(transaction: Transaction) -> bool:
            return (
                skills.vocabulary_state(transaction) != self._renewed
                or any(
                    skills.any_unsplit(transaction, side)
                    for side in self._sides(transaction)
                )
                or self._counted(transaction) is None
            )

        return self._read(look)

    def sides(self) -> list[Side]:
        return self._read(self._sides)

    def stale(self, *, limit: int) -> Sequence[str]:
        """Some skills without a sound embedding of this version. Remembers that there
        are none for as long as nobody writes to the vocabulary.
        """

        def look(transaction: Transaction) -> Sequence[str]:
            state = skills.vocabulary_state(transaction)
            if state == self._renewed:
                return ()
            stale = skills.next_stale_skills(
                transaction, limit=limit, version=self._version
            )
            self._renewed = None if stale else state
            return stale

        return self._read(look)

    def page(self, side: Side, *, after: Id | None, limit: int) -> Sequence[TextRow]:
        """The next rows without skill ids, beyond `after`."""
        return self._read(
            lambda tx: skills.next_unsplit(tx, side, after=after, limit=limit)
        )

    def unknown(self, keys: Sequence[str]) -> Sequence[str]:
        """Those that the vocabulary has no sound embedding of."""
        known = self._read(lambda tx: self._known(tx, keys))
        return [key for key in keys if key not in known]

    def add(self, keys: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Put skills into the vocabulary, or renew them: (len(keys), 384)."""
        self._write(
            lambda tx: skills.store_skills(tx, keys, vectors, version=self._version)
        )

    def store(
        self, side: Side, rows: Sequence[TextRow], keys: Sequence[Sequence[str]]
    ) -> int:
        """Write the ids of each row's skills; how many rows took them. The others were
        edited, deleted or locked, lack a skill that was removed just before, or the
        database refuses them: they stay pending.
        """
        try:
            return self._write(lambda tx: self._store(tx, side, rows, keys))
        except RowRejectedError:
            if len(rows) == 1:
                return 0
            return sum(
                self.store(side, [row], [own])
                for row, own in zip(rows, keys, strict=True)
            )

    def remove_unused(self) -> int:
        """Delete the skills that no row of either table has: how many there were."""

        def remove(transaction: Transaction) -> int:
            # First, so that the ids that are read next are all there are.
            skills.lock_vocabulary(transaction)
            catalogue = Catalogue.read(transaction)
            used: set[int] = set()
            for side in (job_side(catalogue), user_side(catalogue)):
                reader = skill_reader(side.id_column.kind, _collect(used))
                skills.stream_skill_ids(transaction, reader, side)
            return skills.remove_skills_except(transaction, sorted(used))

        return self._write(remove)

    def counted(self) -> int | None:
        """Of how many jobs it is known which skills they list; None where it must be
        found out.
        """
        return self._read(self._counted)

    def count(self) -> None:
        """Count anew how many jobs list each skill."""
        self._write(count_jobs)

    def _counted(self, transaction: Transaction) -> int | None:
        """0, too, where nobody asks: without migration 0042, or for users alone."""
        if JOBS not in self._tables:
            return 0
        if not Catalogue.read(transaction).skills_are_counted:
            return 0
        return jobs_counted(transaction)

    def _store(
        self,
        transaction: Transaction,
        side: Side,
        rows: Sequence[TextRow],
        keys: Sequence[Sequence[str]],
    ) -> int:
        # Nobody removes a skill between the look-up and the commit.
        skills.lock_vocabulary(transaction)
        ids = self._known(transaction, list({key for row in keys for key in row}))
        whole = [n for n, row in enumerate(keys) if all(key in ids for key in row)]
        return skills.store_skill_ids(
            transaction,
            side,
            [rows[n] for n in whole],
            [[ids[key] for key in keys[n]] for n in whole],
        )

    def _known(self, transaction: Transaction, keys: Sequence[str]) -> dict[str, int]:
        return skills.known_skills(transaction, keys, version=self._version)

    def _sides(self, transaction: Transaction) -> list[Side]:
        catalogue = Catalogue.read(transaction)
        return [side_of(table, catalogue) for table in self._tables]

    def _read(self, action: Callable[[Transaction], T]) -> T:
        def read() -> T:
            with self._database.snapshot(_deadline()) as transaction:
                return action(transaction)

        return retry_with_backoff(read, stop=self._stop, patience_s=self._patience_s)

    def _write(self, action: Callable[[Transaction], T]) -> T:
        def write() -> T:
            with self._database.write(_deadline()) as transaction:
                return action(transaction)

        return retry_with_backoff(write, stop=self._stop, patience_s=self._patience_s)


def _collect(used: set[int]) -> Callable[[SkillIdChunk], None]:
    def consume(batch: SkillIdChunk) -> None:
        distinct: NDArray[np.int32] = np.unique(batch.skill_ids)
        used.update(distinct.tolist())

    return consume


def _deadline() -> Deadline:
    return Deadline.after(STATEMENT_TIMEOUT_S)
