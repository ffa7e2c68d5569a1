"""Tables with vectors and an index, and searches through any backend."""

import threading
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from psycopg2.sql import SQL, Composable

from app.backfill.vectors import VectorFilling
from app.batching.batcher import BatchScope
from app.deadline import Deadline
from app.query.query import BatchKey, Query
from app.ranking.retrieval.base import Retrieval, SearchRequest, SearchResult
from app.ranking.retrieval.full_scan import FullScan
from app.ranking.retrieval.pgvector import PgvectorSearch
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.connection.transaction import NOTHING, Sink, Transaction
from tests.support.postgres import run
from tests.support.rows import VERSION

WAITED_FOR = BatchScope(deadline=Deadline.after(3600), abandoned=lambda: False)
STREAM = FullScan(version=VERSION, scan_chunk_rows=100)
SMALL_INDEX = SQL(
    "CREATE INDEX IF NOT EXISTS job_vector_hnsw_idx ON recommender.job_vector"
    " USING hnsw (vector halfvec_ip_ops) WITH (ef_construction = 100)"
)


def through_index() -> Retrieval:
    """Force the use of the index, even for a small table."""
    return PgvectorSearch(version=VERSION, scan_chunk_rows=100, exact_below=0)


def search(
    database: Database,
    backend: Retrieval,
    vectors: NDArray[np.float32],
    queries: Sequence[Query],
    columns: Sequence[str] = (),
    *,
    scope: BatchScope = WAITED_FOR,
    timeout_s: float = 60,
) -> SearchResult:
    with database.snapshot(Deadline.after(timeout_s)) as transaction:
        catalogue = Catalogue.read(transaction, job_columns=columns)
        key = queries[0].key if queries else BatchKey()
        request = SearchRequest(key, queries, vectors)
        return backend.search(transaction, catalogue, request, scope)


def fill(database: Database) -> int:
    """Fill the missing vectors. Returns their number."""
    filling = VectorFilling(database, version=VERSION, stop=threading.Event())
    return sum(filling.run())


def fill_and_index(database: Database) -> None:
    """As `fill`, and build an index unless there is one."""
    fill(database)
    with database.write(Deadline.after(60)) as transaction:
        transaction.execute(SMALL_INDEX)


def add_jobs(url: str, embeddings: np.ndarray, ids: Sequence[object]) -> None:
    run(
        url,
        "INSERT INTO skill_job1 (job_id, skills, embedding, embedding_version)"
        " SELECT id, 'text ' || id, embedding, %s"
        " FROM unnest(%s, %s::bytea[]) AS new (id, embedding)",
        (VERSION, list(ids), [row.tobytes() for row in embeddings]),
    )


def clustered(count: int) -> NDArray[np.float32]:
    """(count, 384) around a hundred centres, not of unit length."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((100, 384))
    rows = centres[np.arange(count) % 100] + random.standard_normal((count, 384))
    return (rows * random.uniform(0.1, 9, (count, 1))).astype(np.float32)


def nearby(count: int) -> NDArray[np.float32]:
    """(count, 384) around the same centres, different from the first 3,000.

    An index of this size misses nothing near a centre: of 900 results over 15 builds
    none differed from those of the scan.
    """
    return clustered(3000 + count)[3000:]


def far_away(count: int) -> NDArray[np.float32]:
    """(count, 384) far from every centre.

    An index misses some of the best rows in most results, and others after each build:
    never compare these with the scan.
    """
    return np.random.default_rng(5).standard_normal((count, 384), dtype=np.float32)


def explained(patch: pytest.MonkeyPatch, explain: str) -> list[str]:
    """The plans of the searches that follow, as `explain` gives them."""
    found: list[str] = []
    copy_out = Transaction.copy_out

    def explaining(
        transaction: Transaction,
        query: Composable,
        sink: Sink,
        *,
        settings: Composable = NOTHING,
    ) -> None:
        statement = settings + SQL(f"{explain} ") + query
        found.append("\n".join(line for (line,) in transaction.rows(statement)))
        copy_out(transaction, query, sink, settings=settings)

    patch.setattr(Transaction, "copy_out", explaining)
    return found
