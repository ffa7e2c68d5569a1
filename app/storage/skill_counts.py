"""How many jobs list each skill: statistics that the backfill renews now and then, in
the one row of the vocabulary.
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
    """`listed`: (n,) int32, at the place of each skill's id how many jobs list it;
    none lists a skill whose id is beyond. `jobs`: how many jobs were read.
    """

    jobs: int
    listed: NDArray[np.int32]


def read_counts(transaction: Transaction) -> SkillCounts:
    """The counts, where `VocabularyState.counts_stamp` says that there are some."""
    jobs, listed = transaction.rows(QUERIES["counts"])[0]
    return SkillCounts(jobs, int32_from_bytes(bytes(listed)))


def store_counts(
    transaction: Transaction, counts: SkillCounts, *, vocabulary: str
) -> None:
    """Put these in the place of the former ones, under a stamp of their own.

    `vocabulary` is the one that the ids were read under: of any other they are void.
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
    """0 where there is no skill."""
    greatest: int = transaction.rows(QUERIES["greatest_id"])[0][0]
    return greatest


def jobs_counted(transaction: Transaction) -> int | None:
    """How many jobs were counted; None if none were since skills were removed."""
    jobs: int | None = transaction.rows(QUERIES["jobs_counted"])[0][0]
    return jobs
