"""Jobs in Postgres: their embeddings as a stream, and their texts by id."""

from collections.abc import Sequence

from psycopg2.sql import Composed

from app.storage import queries
from app.storage.codec import EMBEDDING_BYTES
from app.storage.conditions import EVERY_ROW
from app.storage.database import Sink, Transaction
from app.storage.ids import Id, IdColumn
from app.storage.tables import JOBS

# What one row of `stream_embeddings` takes with an integer id: the embedding and 24
# bytes of ids, lengths and the spare field.
RECORD_BYTES = EMBEDDING_BYTES + 24


def stream_embeddings(
    transaction: Transaction,
    sink: Sink,
    *,
    job_id: IdColumn,
    version: str,
    matching: Composed = EVERY_ROW,
) -> None:
    """Stream (job_id, spare int2, embedding) of every row of this version, as COPY
    BINARY. Every embedding has 1,536 bytes; its values are not checked here.

    `matching` are more conditions, as `conditions.and_matching` writes them.
    """
    query = JOBS.format(queries.STREAM_EMBEDDINGS, version=version, id_column=job_id)
    transaction.copy_out(query + matching, sink)


def job_texts(
    transaction: Transaction, ids: Sequence[Id], *, job_id: IdColumn
) -> dict[Id, str | None]:
    """The `skills` of the jobs with these ids."""
    query = queries.JOB_TEXTS.format(id_type=job_id.cast)
    return dict(transaction.rows(query, {"ids": list(ids)}))
