"""The embeddings of the rows of either table."""

from collections.abc import Sequence

from app.query.constraints import Condition
from app.storage import users
from app.storage.conditions import where_clause
from app.storage.connection.transaction import Sink, Transaction
from app.storage.entity import EntityTable
from app.storage.jobs import stream_embeddings


def stream_entity_embeddings(
    transaction: Transaction,
    sink: Sink,
    table: EntityTable,
    *,
    version: str,
    filters: Sequence[Condition] = (),
) -> None:
    """Stream the embeddings of jobs or users as `jobs.stream_embeddings` does."""
    if table.name == "users":
        query = table.format(users.QUERIES["stream_embeddings"], version=version)
        transaction.copy_out(query, sink)
        return
    matching = where_clause(filters, table.columns)
    stream_embeddings(transaction, sink, jobs=table, version=version, matching=matching)
