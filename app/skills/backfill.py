"""Fills the vocabulary and the skill ids: texts -> skills -> embeddings -> ids.

As the backfill of embeddings: pages by key, encoding outside of transactions, and
compare-and-set on the text, so that an edit meanwhile keeps its row pending.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.deadline import Deadline
from app.encoder import Encoder
from app.scan.skill_records import SkillBatch, skill_reader
from app.skills.split import split_skills
from app.storage import skills
from app.storage.catalogue import Catalogue
from app.storage.database import Database, Transaction
from app.storage.ids import Id
from app.storage.skills import Side

# For one statement of one page; the encoding happens outside of transactions.
STATEMENT_TIMEOUT_S = 60.0

Row = tuple[Id, str]


@dataclass(frozen=True)
class SkillProgress:
    """One page: rows that now have skill ids, and skills that were embedded for them;
    rows that changed meanwhile.
    """

    rows: int
    skills: int
    changed: int = 0


def job_side(catalogue: Catalogue) -> Side:
    """The table of jobs."""
    return Side("skill_job1", "job_id", catalogue.job_id, catalogue.job_columns)


def user_side(catalogue: Catalogue) -> Side:
    """The table of users."""
    return Side("users", "user_id", catalogue.user_id)


class SkillBackfill:
    """Splits the texts of jobs and users that have no skill ids yet."""

    def __init__(
        self, database: Database, encoder: Encoder, *, page_rows: int = 512
    ) -> None:
        self._database = database
        self._encoder = encoder
        self._page_rows = page_rows

    def remaining(self) -> int:
        """Rows to split, and skills to embed for the current model."""
        with self._database.snapshot(_deadline()) as transaction:
            version = self._encoder.version
            stale = skills.count_stale_skills(transaction, version=version)
            return stale + sum(
                skills.count_unsplit(transaction, side) for side in _sides(transaction)
            )

    def run(self) -> Iterator[SkillProgress]:
        """Page after page, each committed on its own; run it again to go on."""
        yield from self._renew_stale_skills()
        with self._database.snapshot(_deadline()) as transaction:
            sides = _sides(transaction)
        for side in sides:
            yield from self._split(side)

    def remove_unused(self) -> int:
        """Delete the skills that no row has; returns how many there were.

        Every cache of the vocabulary is then built anew: not for every day.
        """
        with self._database.write(_deadline()) as transaction:
            # First, so that the ids that are read next are all there are.
            skills.lock_vocabulary(transaction)
            used: set[int] = set()
            for side in _sides(transaction):
                reader = skill_reader(side.id_column.kind, _collect(used))
                skills.stream_skill_ids(transaction, reader, side)
            return skills.remove_skills_except(transaction, sorted(used))

    def _renew_stale_skills(self) -> Iterator[SkillProgress]:
        version = self._encoder.version
        while True:
            with self._database.snapshot(_deadline()) as transaction:
                stale = skills.next_stale_skills(
                    transaction, limit=self._page_rows, version=version
                )
            if not stale:
                return
            self._embed(stale)
            yield SkillProgress(rows=0, skills=len(stale))

    def _split(self, side: Side) -> Iterator[SkillProgress]:
        after: Id | None = None
        while True:
            with self._database.snapshot(_deadline()) as transaction:
                page = skills.next_unsplit(
                    transaction, side, after=after, limit=self._page_rows
                )
            if not page:
                return
            yield self._split_page(side, page)
            after = page[-1][0]

    def _split_page(self, side: Side, page: Sequence[Row]) -> SkillProgress:
        keys = [[skill.key for skill in split_skills(text)] for _, text in page]
        wanted = list(dict.fromkeys(key for row in keys for key in row))
        with self._database.snapshot(_deadline()) as transaction:
            known = self._known(transaction, wanted)
        new = [key for key in wanted if key not in known]
        self._embed(new)
        stored = self._store(side, page, keys, wanted)
        return SkillProgress(stored, len(new), changed=len(page) - stored)

    def _embed(self, new: Sequence[str]) -> None:
        if not new:
            return
        embeddings = self._encoder.encode(new)
        with self._database.write(_deadline()) as transaction:
            skills.store_skills(
                transaction, new, embeddings, version=self._encoder.version
            )

    def _store(
        self,
        side: Side,
        page: Sequence[Row],
        keys: Sequence[Sequence[str]],
        wanted: Sequence[str],
    ) -> int:
        with self._database.write(_deadline()) as transaction:
            # Nobody removes a skill between the look-up and the commit; a row whose
            # skill was removed just before stays pending.
            skills.lock_vocabulary(transaction)
            ids = self._known(transaction, wanted)
            whole = [n for n, row in enumerate(keys) if all(key in ids for key in row)]
            return skills.store_skill_ids(
                transaction,
                side,
                [page[n] for n in whole],
                [[ids[key] for key in keys[n]] for n in whole],
            )

    def _known(self, transaction: Transaction, keys: Sequence[str]) -> dict[str, int]:
        return skills.known_skills(transaction, keys, version=self._encoder.version)


def _sides(transaction: Transaction) -> list[Side]:
    catalogue = Catalogue.read(transaction)
    return [job_side(catalogue), user_side(catalogue)]


def _collect(used: set[int]) -> Callable[[SkillBatch], None]:
    def consume(batch: SkillBatch) -> None:
        distinct: NDArray[np.int32] = np.unique(batch.skill_ids)
        used.update(distinct.tolist())

    return consume


def _deadline() -> Deadline:
    return Deadline.after(STATEMENT_TIMEOUT_S)
