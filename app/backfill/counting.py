"""Reads the skill ids of all rows: how many jobs list each, which are used, and which
rows have some.
"""

from collections.abc import Callable, Sequence

import numpy as np

from app.query.ids import Id
from app.ranking.top_k.distinct import distinct
from app.storage.catalogue import Catalogue
from app.storage.connection.transaction import Transaction
from app.storage.copy.reader import read_copy
from app.storage.copy.skill_ids import SkillIdChunk, skill_reader
from app.storage.entity import ENTITIES, EntityTable
from app.storage.skill_counts import SkillCounts, greatest_skill_id, store_counts
from app.storage.skills import stream_skill_ids, vocabulary_state

# Skill ids that are counted at once.
BUFFER_BYTES = 1 << 16


def count_jobs(transaction: Transaction) -> None:
    """Of the jobs as they are now."""
    catalogue = Catalogue.read(transaction)
    # First: skills that are removed while the ids are read make the counts void.
    vocabulary = vocabulary_state(transaction).vocabulary
    tally = _Tally(greatest_skill_id(transaction))
    _read(transaction, catalogue.jobs, tally.add)
    counts = SkillCounts(tally.jobs, tally.listed)
    store_counts(transaction, counts, vocabulary=vocabulary)


def used_skills(transaction: Transaction) -> set[int]:
    """The ids that some row has.

    Raises DatabaseUnavailableError if the database ended its response early: the caller
    deletes all other skills, so half of the ids would be worse than none.
    """
    catalogue = Catalogue.read(transaction)
    used: set[int] = set()

    def add(chunk: SkillIdChunk) -> None:
        used.update(distinct(chunk.skill_ids).tolist())

    for name in ENTITIES:
        _read(transaction, catalogue.entity(name), add)
    return used


def rows_with(
    transaction: Transaction, table: EntityTable, skill_ids: Sequence[int]
) -> list[Id]:
    """The rows that have one of these skills."""
    found: list[Id] = []
    wanted = np.zeros(max(skill_ids, default=-1) + 1, np.bool_)  # by skill id
    wanted[list(skill_ids)] = True

    def add(chunk: SkillIdChunk) -> None:
        known = np.minimum(chunk.skill_ids, len(wanted) - 1)
        is_wanted = wanted[known] & (chunk.skill_ids == known)
        has_one = np.logical_or.reduceat(is_wanted, chunk.starts)
        found.extend(map(table.id_column.from_stream, chunk.ids[has_one].tolist()))

    if skill_ids:
        _read(transaction, table, add)
    return found


def _read(
    transaction: Transaction,
    table: EntityTable,
    consume: Callable[[SkillIdChunk], None],
) -> None:
    read_copy(
        lambda sink: stream_skill_ids(transaction, sink, table),
        skill_reader(table.id_column.kind, consume),
        buffer_bytes=BUFFER_BYTES,
    )


class _Tally:
    """How many jobs list each skill, while they are read."""

    def __init__(self, greatest_id: int) -> None:
        self.jobs = 0
        self.listed = np.zeros(greatest_id + 1, np.int32)  # by skill id

    def add(self, chunk: SkillIdChunk) -> None:
        # A list names a skill once. Ids beyond the vocabulary cost nobody memory.
        ids = chunk.skill_ids
        known = ids[(ids >= 0) & (ids < len(self.listed))]
        np.add.at(self.listed, known, 1)
        self.jobs += len(chunk.ids)
