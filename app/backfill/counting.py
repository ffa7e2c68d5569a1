"""Counts how many jobs list each skill: statistics for the weights of skills."""

import numpy as np

from app.storage.catalogue import Catalogue
from app.storage.connection.transaction import Transaction
from app.storage.copy.reader import read_copy
from app.storage.copy.skill_ids import SkillIdChunk, skill_reader
from app.storage.sides import job_side
from app.storage.skill_counts import SkillCounts, greatest_skill_id, store_counts
from app.storage.skills import stream_skill_ids, vocabulary_state

# Skill ids that are counted at once.
BUFFER_BYTES = 1 << 16


def count_jobs(transaction: Transaction) -> None:
    """Of the jobs as they are now; without migration 0042 there is no place for it."""
    catalogue = Catalogue.read(transaction)
    if not catalogue.skills_are_counted:
        return
    # First: skills that are removed while the ids are read make the counts void.
    vocabulary = vocabulary_state(transaction).vocabulary
    side, tally = job_side(catalogue), _Tally(greatest_skill_id(transaction))
    read_copy(
        lambda sink: stream_skill_ids(transaction, sink, side),
        skill_reader(side.id_column.kind, tally.add),
        buffer_bytes=BUFFER_BYTES,
    )
    counts = SkillCounts(tally.jobs, tally.listed)
    store_counts(transaction, counts, vocabulary=vocabulary)


class _Tally:
    """How many jobs list each skill, while they are read."""

    def __init__(self, greatest_id: int) -> None:
        self.jobs = 0
        self.listed = np.zeros(greatest_id + 1, np.int32)  # by skill id

    def add(self, batch: SkillIdChunk) -> None:
        # A list names a skill once. Ids beyond the vocabulary cost nobody memory.
        ids = batch.skill_ids
        known = ids[(ids >= 0) & (ids < len(self.listed))]
        np.add.at(self.listed, known, 1)
        self.jobs += len(batch.ids)
