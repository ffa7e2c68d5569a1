"""Item-to-item ranking: prepare queries from jobs by their stored embeddings."""

from collections.abc import Sequence

from app.errors import JobNotFoundError
from app.query.ids import Id, IdColumn
from app.query.query import BatchKey, Query
from app.ranking.profiles import CosineQuery, Prepared
from app.ranking.top_k.heap import Scored
from app.ranking.top_k.pages import Page
from app.storage.catalogue import Catalogue
from app.storage.codec import points_somewhere, squared_norms
from app.storage.connection.transaction import Transaction
from app.storage.skills import SkilledRow, skilled_rows

NO_EMBEDDING = "This job has no embedding yet."


def prepare_jobs(
    transaction: Transaction,
    catalogue: Catalogue,
    queries: Sequence[Query],
    *,
    version: str,
) -> list[Prepared]:
    """Read the jobs of the queries."""
    keys = [
        None if q.source_id is None else catalogue.job_id.parse(q.source_id)
        for q in queries
    ]
    ids = [key for key in keys if key is not None]
    rows = skilled_rows(transaction, catalogue.jobs, ids, version=version)
    return [_prepare(key, None if key is None else rows.get(key)) for key in keys]


def without_itself(
    ranked: Sequence[Scored],
    asked: CosineQuery,
    top_k: int,
    key: BatchKey,
    column: IdColumn,
) -> Page:
    """The page without the query's own job. It has no next page."""
    others = [(column.from_stream(row.id), row) for row in ranked]
    if key.target == "jobs":
        others = [(id_, row) for id_, row in others if id_ != asked.own_id]
    shown = others[:top_k]
    return Page([id_ for id_, _ in shown], [row for _, row in shown], None)


def _prepare(key: Id | None, row: SkilledRow | None) -> Prepared:
    if row is None:
        return JobNotFoundError("No job has this job_id.")
    embedding = row.embedding
    if embedding is None or not points_somewhere(squared_norms(embedding[None]))[0]:
        return NO_EMBEDDING
    return CosineQuery(embedding, own_id=key)
