"""The protocol that every ranking implements, and what rankings are built from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from app.batching.batcher import BatchScope
from app.encoder import Encoder
from app.query.query import BatchKey, Query
from app.query.result import BatchObserver, Outcome
from app.ranking.retrieval.base import Retrieval
from app.storage.connection.database import Database


class Ranking(Protocol):
    """Ranks the rows of one table for the queries of a batch, from one snapshot."""

    def rank(
        self, key: BatchKey, queries: Sequence[Query], scope: BatchScope
    ) -> Sequence[Outcome]:
        """A result, or the error that is its own, for each query.

        Raises AppError for what concerns all of them (the database, the deadline, the
        model), and AbandonedError once nobody waits. Safe to call from several threads.
        """
        ...


@dataclass(frozen=True)
class RankingContext:
    """What a ranking may be built from. `job_columns`: the names of JOB_COLUMNS."""

    database: Database
    encoder: Encoder
    retrieval: Retrieval
    skill_cache_dir: Path
    job_columns: Sequence[str] = ()
    observer: BatchObserver | None = None
