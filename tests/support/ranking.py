"""Rankings over a real database, built as in the service."""

from collections.abc import Sequence
from pathlib import Path

from app.batching.batcher import BatchScope
from app.deadline import Deadline
from app.encoder import Encoder
from app.query.query import Query
from app.query.result import Outcome
from app.ranking.base import Ranking, RankingContext
from app.ranking.registry import RANKINGS
from app.ranking.retrieval.base import EntrySource, Retrieval
from app.ranking.retrieval.full_scan import FullScan
from app.storage.connection.database import Database

# Nobody gives up waiting.
SCOPE = BatchScope(deadline=Deadline.after(3600), abandoned=lambda: False)


def ranking_over(
    database: Database,
    encoder: Encoder,
    *,
    name: str = "similarity",
    retrieval: Retrieval | None = None,
    folder: Path = Path("unused"),
    job_columns: Sequence[str] = (),
    entry_source: EntrySource | None = None,
) -> Ranking:
    """A ranking of the registry that reads 16 rows at a time.

    So small tables have several chunks. `folder`: the vocabulary of the ranking by
    skills.
    """
    scan = FullScan(version=encoder.version, scan_chunk_rows=16)
    context = RankingContext(
        database,
        encoder,
        retrieval or scan,
        folder,
        job_columns=job_columns,
        entry_source=entry_source,
    )
    return RANKINGS[name].build(context)


def rank(ranking: Ranking, queries: Sequence[Query]) -> list[Outcome]:
    """The outcomes of queries that share a batch."""
    return list(ranking.rank(queries[0].key, queries, SCOPE))
