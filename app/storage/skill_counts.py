"""The number of jobs per skill: statistics in the one row of the vocabulary.

The backfill updates them from time to time.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.storage.codec import int32_from_bytes, int32_to_bytes
from app.storage.connection.transaction import Transaction
from app.storage.sql import load

QUERIES = load("skills")


@dataclass(frozen=True)
class SkillCounts:
    """Counts of jobs.

    `listed`: (n,) int32, the number of jobs for each skill id; 0 for ids beyond.
    `jobs`: the number of jobs read.
    """

    jobs: int
    listed: NDArray[np.int32]


def read_counts(transaction: Transaction) -> SkillCounts:
    """The counts, if `VocabularyState.counts_stamp` is set."""
    jobs, listed = transaction.rows(QUERIES["counts"])[0]
    return SkillCounts(jobs, int32_from_bytes(bytes(listed)))


def store_counts(
    transaction: Transaction, counts: SkillCounts, *, vocabulary: str
) -> None:
    """Replace the counts, with a new stamp.

    `vocabulary`: the one that the ids belong to; counts of another one are discarded.
    """
    transaction.execute(
        QUERIES["store_counts"],
        {
            "jobs": counts.jobs,
            "listed": int32_to_bytes(counts.listed),
            "vocabulary": vocabulary,
        },
    )


def greatest_skill_id(transaction: Transaction) -> int:
    """The greatest skill id; 0 without skills."""
    greatest: int = transaction.rows(QUERIES["greatest_id"])[0][0]
    return greatest


def jobs_counted(transaction: Transaction) -> int | None:
    """The number of counted jobs; None if skills were removed since the last count."""
    jobs: int | None = transaction.rows(QUERIES["jobs_counted"])[0][0]
    return jobs
