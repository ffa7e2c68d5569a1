"""Jobs in Postgres: their embeddings as a stream, their texts by id, their states."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from psycopg2.sql import SQL, Composed, Literal

from app.storage import queries
from app.storage.codec import EMBEDDING_BYTES, to_bytes
from app.storage.database import Sink, Transaction
from app.storage.ids import Id, IdColumn


@dataclass(frozen=True)
class Coverage:
    """How many jobs are in each state; every row is in exactly one."""

    embedded: int = 0
    pending: int = 0
    stale: int = 0
    malformed: int = 0
    blank: int = 0

    @property
    def total(self) -> int:
        return self.embedded + self.pending + self.stale + self.malformed + self.blank


@dataclass(frozen=True)
class JobText:
    """A job and the text that its embedding is made from."""

    job_id: Id
    skills: str


def stream_embeddings(
    transaction: Transaction, sink: Sink, *, job_id: IdColumn, version: str
) -> None:
    """Stream (job_id, spare int2, embedding) of every row of this version, as COPY
    BINARY. Every embedding has 1,536 bytes; its values are not checked here.
    """
    query = _format(queries.STREAM_EMBEDDINGS, version=version, job_id=job_id)
    transaction.copy_out(query, sink)


def job_texts(
    transaction: Transaction, ids: Sequence[Id], *, job_id: IdColumn
) -> dict[Id, str | None]:
    """The `skills` of the jobs with these ids."""
    query = queries.JOB_TEXTS.format(id_type=job_id.cast)
    return dict(transaction.rows(query, {"ids": list(ids)}))


def coverage(transaction: Transaction, *, version: str) -> Coverage:
    """Count the jobs by state: one pass of the database over the table."""
    query = _format(queries.COVERAGE, version=version)
    return Coverage(**dict(transaction.rows(query)))


def count_unembedded(transaction: Transaction, *, version: str) -> int:
    """How many rows have a text but no sound embedding of this version."""
    query = _format(queries.COUNT_UNEMBEDDED, version=version)
    count: int = transaction.rows(query)[0][0]
    return count


def next_unembedded(
    transaction: Transaction,
    *,
    after: Id | None,
    limit: int,
    version: str,
    job_id: IdColumn,
) -> list[JobText]:
    """The next rows to embed, in the order of `job_id`, beyond `after`."""
    query = _format(queries.NEXT_UNEMBEDDED, version=version, job_id=job_id)
    rows = transaction.rows(query, {"after": after, "limit": limit})
    return [JobText(*row) for row in rows]


def store_embeddings(
    transaction: Transaction,
    jobs: Sequence[JobText],
    embeddings: NDArray[np.float32],  # (n, 384)
    *,
    version: str,
    job_id: IdColumn,
) -> int:
    """Write embeddings to the rows that still hold the text they were made from.

    Returns how many rows did.
    """
    query = queries.STORE_EMBEDDINGS.format(id_type=job_id.cast)
    return transaction.execute(
        query,
        {
            "ids": [job.job_id for job in jobs],
            "texts": [job.skills for job in jobs],
            "embeddings": [to_bytes(embedding) for embedding in embeddings],
            "version": version,
        },
    )


def _format(query: SQL, *, version: str, job_id: IdColumn | None = None) -> Composed:
    return query.format(
        version=Literal(version),
        length=Literal(EMBEDDING_BYTES),
        id_type=job_id.cast if job_id else SQL(""),
    )
