"""Splits texts again that have skill ids: after a change of how texts are split.

Only rows whose ids differ are written. It goes on where it was broken off; of several
workers at one slice the first to store it counts.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from app.backfill.patience import retry_with_backoff
from app.backfill.vocabulary import VocabularyKeeper
from app.deadline import Deadline
from app.ranking.skills.parse import SPLIT_VERSION, split_skills
from app.storage import resplit
from app.storage.catalogue import Catalogue
from app.storage.claims import Claims, Made, TextRow
from app.storage.connection.database import Database
from app.storage.connection.transaction import Transaction
from app.storage.entity import EntityName, EntityTable
from app.storage.resplit import SplitSlice, SplitTask
from app.storage.skills import known_skills, lock_vocabulary

T = TypeVar("T")

# Some 50 ms of splitting.
SLICE_ROWS = 500
STATEMENT_TIMEOUT_S = 60.0

# By row, the keys of its skills.
SkillKeys = Mapping[TextRow, Sequence[str]]


class Resplit:
    """Splits rows of one table again. `throttle` is called after a slice with the
    seconds that it took.
    """

    def __init__(
        self,
        database: Database,
        entity: EntityName,
        *,
        vocabulary: VocabularyKeeper,
        version: str,
        patience_s: float,
        stop: threading.Event,
        throttle: Callable[[float], None],
    ) -> None:
        """`version`: of the model, whose skills count."""
        self._database = database
        self._entity = entity
        self._vocabulary = vocabulary
        self._version = version
        self._patience_s = patience_s
        self._stop = stop
        self._throttle = throttle

    def any_due(self) -> bool:
        """Whether rows are to be split again; asked without a scan."""
        return self._read(lambda tx, table: resplit.any_due(tx, table, SPLIT_VERSION))

    def run(self) -> Iterator[int]:
        """How many rows of each slice have other skills now, to the end of what is due.
        Each slice is committed on its own.
        """
        if not self.any_due():
            return
        for task in self._read(resplit.tasks):
            yield from self._run(task)

    def _run(self, task: SplitTask) -> Iterator[int]:
        going = task
        while not self._stop.is_set():
            start = time.monotonic()
            part, changed = self._split(going)
            self._vocabulary.learn(_distinct(changed))
            stored = self._store(going, part, changed)
            self._throttle(time.monotonic() - start)
            if stored is None:
                return
            yield stored
            if part.done_to is None:
                return
            going = replace(going, done_to=part.done_to)

    def _split(self, task: SplitTask) -> tuple[SplitSlice, SkillKeys]:
        """The next rows, and the keys of those whose ids differ."""

        def split(
            transaction: Transaction, table: EntityTable
        ) -> tuple[SplitSlice, SkillKeys]:
            part = resplit.next_slice(transaction, table, task, limit=SLICE_ROWS)
            keys = [[skill.key for skill in split_skills(r.skills)] for r in part.rows]
            wanted = list({key for row in keys for key in row})
            ids = known_skills(transaction, wanted, version=self._version)
            changed = {
                TextRow(row.id, row.skills, is_embedded=True): own
                for row, own in zip(part.rows, keys, strict=True)
                if [ids.get(key) for key in own] != row.skill_ids.tolist()
            }
            return part, changed

        return self._read(split)

    def _store(
        self, task: SplitTask, part: SplitSlice, changed: SkillKeys
    ) -> int | None:
        """How many rows were stored; None where another worker came further."""

        def store(transaction: Transaction, table: EntityTable) -> int | None:
            lock_vocabulary(transaction)
            ids = known_skills(transaction, _distinct(changed), version=self._version)
            if not resplit.advance(transaction, task, part.done_to):
                return None
            claims = Claims(table, self._version, lease_s=0.0)
            made = [
                Made(row, None, [ids[key] for key in keys])
                for row, keys in changed.items()
                if all(key in ids for key in keys)
            ]
            stored = claims.store(transaction, made).ids
            # An editor has the others, or a skill was removed meanwhile.
            left = [str(row.id) for row in changed if str(row.id) not in stored]
            resplit.note_rows(transaction, table, left)
            return len(stored)

        return self._write(store)

    def _read(self, action: Callable[[Transaction, EntityTable], T]) -> T:
        def read() -> T:
            with self._database.snapshot(_deadline()) as transaction:
                return action(transaction, self._table(transaction))

        return self._patiently(read)

    def _write(self, action: Callable[[Transaction, EntityTable], T]) -> T:
        def write() -> T:
            with self._database.write(_deadline()) as transaction:
                return action(transaction, self._table(transaction))

        return self._patiently(write)

    def _patiently(self, action: Callable[[], T]) -> T:
        return retry_with_backoff(action, stop=self._stop, patience_s=self._patience_s)

    def _table(self, transaction: Transaction) -> EntityTable:
        return Catalogue.read(transaction).entity(self._entity)


def _distinct(keys: SkillKeys) -> list[str]:
    return list(dict.fromkeys(key for row in keys.values() for key in row))


def _deadline() -> Deadline:
    return Deadline.after(STATEMENT_TIMEOUT_S)
