"""Splits the texts of rows with skill ids again, after a change of the splitter, of
synonyms or of the column of titles.

Only rows whose ids differ are written. It continues after an interruption; if several
workers split one slice, the first to store it counts.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from app.backfill.claim_store import ClaimStore
from app.backfill.counting import rows_with
from app.backfill.vocabulary import VocabularyKeeper
from app.ranking.skills.splitting import split_texts
from app.ranking.skills.synonyms import built_in
from app.storage import resplit
from app.storage.claims import Claims, Made, TextRow
from app.storage.connection.transaction import Transaction
from app.storage.resplit import SplitSlice, SplitState, SplitTask
from app.storage.skills import known_skills, lock_vocabulary

# Some 50 ms of splitting.
RESPLIT_ROWS = 500

# By row, the keys of its skills.
SkillKeys = Mapping[TextRow, Sequence[str]]


class Resplit:
    """Splits rows of one table again. `throttle` is called after a slice with the
    seconds that it took.
    """

    def __init__(
        self,
        store: ClaimStore,
        vocabulary: VocabularyKeeper,
        *,
        stop: threading.Event,
        throttle: Callable[[float], None],
    ) -> None:
        self._store = store
        self._vocabulary = vocabulary
        self._stop = stop
        self._throttle = throttle

    def any_due(self) -> bool:
        """Whether rows are to be split again; asked without a scan."""
        return self._store.any_outdated()

    def run(self) -> Iterator[int]:
        """How many rows of each slice have other skills now, to the end of what is due.
        Each slice is committed on its own.
        """
        if not self.any_due():
            return
        for task in self._tasks():
            if task.skills is not None:
                self._name_rows(task.skills, task)
        for task in self._tasks():
            yield from self._run(task)

    def _tasks(self) -> list[SplitTask]:
        return self._store.transact(lambda tx, claims: resplit.tasks(tx, claims.table))

    def _name_rows(self, skills: Sequence[str], task: SplitTask) -> None:
        """Find the rows that have one of the task's skills."""
        meant = {each.canonical for s in skills for each in built_in().meanings(s)}

        def find(transaction: Transaction, claims: Claims) -> None:
            concerned = [*skills, *meant]
            ids = resplit.ids_with_meanings(transaction, concerned)
            found = rows_with(transaction, claims.table, ids)
            resplit.name_rows(transaction, task, [str(id_) for id_ in found])

        self._store.transact(find)

    def _run(self, task: SplitTask) -> Iterator[int]:
        going = task
        while not self._stop.is_set():
            start = time.monotonic()
            state, part, changed = self._split(going)
            self._vocabulary.learn(_distinct(changed))
            stored = self._put(going, part, changed, state=state)
            self._throttle(time.monotonic() - start)
            if stored is None:
                return
            yield stored
            if part.done_to is None:
                return
            going = replace(going, done_to=part.done_to)

    def _split(self, task: SplitTask) -> tuple[SplitState, SplitSlice, SkillKeys]:
        """The next rows, and the keys of those whose ids differ."""

        def split(
            transaction: Transaction, claims: Claims
        ) -> tuple[SplitState, SplitSlice, SkillKeys]:
            # First: a change of synonyms in between is noticed by `_put`.
            state = resplit.split_state(transaction)
            part = resplit.next_slice(
                transaction, claims.table, task, limit=RESPLIT_ROWS
            )
            found = split_texts(
                transaction,
                [row.skills for row in part.rows],
                titles=[row.title for row in part.rows],
            )
            keys = [[skill.key for skill in skills] for skills in found]
            wanted = list({key for row in keys for key in row})
            ids = known_skills(transaction, wanted, version=claims.version)
            changed = {
                TextRow(row.id, row.skills, row.title, is_embedded=True): own
                for row, own in zip(part.rows, keys, strict=True)
                if [ids.get(key) for key in own] != row.skill_ids.tolist()
            }
            return state, part, changed

        return self._store.transact(split)

    def _put(
        self,
        task: SplitTask,
        part: SplitSlice,
        changed: SkillKeys,
        *,
        state: SplitState,
    ) -> int | None:
        """How many rows were stored; None where another worker came further, or where
        they would be split otherwise by now.
        """

        def put(transaction: Transaction, claims: Claims) -> int | None:
            if lock_vocabulary(transaction) != state:
                return None
            keys = _distinct(changed)
            ids = known_skills(transaction, keys, version=claims.version)
            if not resplit.advance(transaction, task, part.done_to):
                return None
            made = [
                Made(row, None, [ids[key] for key in own])
                for row, own in changed.items()
                if all(key in ids for key in own)
            ]
            stored = claims.store(transaction, made).ids
            # An editor has locked the others, or a skill was removed in between.
            left = [str(row.id) for row in changed if str(row.id) not in stored]
            resplit.note_rows(transaction, claims.table, left)
            return len(stored)

        return self._store.transact(put)


def _distinct(keys: SkillKeys) -> list[str]:
    return list(dict.fromkeys(key for row in keys.values() for key in row))
