"""The protocol of rankings, and the services that rankings use."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from app.batching.batcher import BatchScope
from app.encoder import Encoder
from app.query.query import BatchKey, Query
from app.query.result import BatchObserver, Outcome
from app.ranking.retrieval.base import EntrySource, Retrieval
from app.storage.connection.model_snapshots import Snapshots


class Ranking(Protocol):
    """Ranks the rows of one table for the queries of a batch, from one snapshot."""

    def rank(
        self, key: BatchKey, queries: Sequence[Query], scope: BatchScope
    ) -> Sequence[Outcome]:
        """A result or an error for each query.

        Raises AppError if all queries fail (database, deadline, model), and
        AbandonedError if all their requests were cancelled. Thread-safe.
        """
        ...


@dataclass(frozen=True)
class RankingContext:
    """The services that a ranking may use. `job_columns`: the names in JOB_COLUMNS.
    `entry_source`: a local copy of the jobs, where there is one.
    """

    database: Snapshots
    encoder: Encoder
    retrieval: Retrieval
    skill_cache_dir: Path
    job_columns: Sequence[str] = ()
    observer: BatchObserver | None = None
    entry_source: EntrySource | None = None
