"""How many jobs list each skill: statistics that the backfill renews now and then, in
the one row of the vocabulary.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.storage import skill_queries
from app.storage.codec import int32_from_bytes, int32_to_bytes
from app.storage.connection.transaction import Transaction


@dataclass(frozen=True)
class SkillCounts:
    """`listed`: (n,) int32, at the place of each skill's id how many jobs list it;
    none lists a skill whose id is beyond. `jobs`: how many jobs were read.
    """

    jobs: int
    listed: NDArray[np.int32]


def read_counts(transaction: Transaction) -> SkillCounts:
    """The counts, where `VocabularyState.counts_stamp` says that there are some."""
    jobs, listed = transaction.rows(skill_queries.SKILL_COUNTS)[0]
    return SkillCounts(jobs, int32_from_bytes(bytes(listed)))


def store_counts(
    transaction: Transaction, counts: SkillCounts, *, vocabulary: str
) -> None:
    """Put these in the place of the former ones, under a stamp of their own.

    `vocabulary` is the one that the ids were read under: of any other they are void.
    """
    transaction.execute(
        skill_queries.STORE_SKILL_COUNTS,
        {
            "jobs": counts.jobs,
            "listed": int32_to_bytes(counts.listed),
            "vocabulary": vocabulary,
        },
    )


def greatest_skill_id(transaction: Transaction) -> int:
    """0 where there is no skill."""
    greatest: int = transaction.rows(skill_queries.GREATEST_ID)[0][0]
    return greatest


def jobs_counted(transaction: Transaction) -> int | None:
    """How many jobs were counted; None if none were since skills were removed."""
    jobs: int | None = transaction.rows(skill_queries.JOBS_COUNTED)[0][0]
    return jobs
