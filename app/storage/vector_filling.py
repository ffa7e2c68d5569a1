"""Vectors for rows that have an embedding and no vector of it yet: no text is encoded.

Stores by the backfill bring their vectors along, see `app.storage.claims`. What is
left are rows from before the migration, and those that others wrote.
"""

import numpy as np
from psycopg2.sql import SQL, Literal

from app.query.ids import Id
from app.storage import vector_queries as queries
from app.storage.codec import DIMENSION, FLOAT32
from app.storage.connection.transaction import Transaction
from app.storage.vectors import VectorQuery, to_halfvec


def fill_vectors(
    transaction: Transaction, rows: VectorQuery, *, after: Id | None, limit: int
) -> tuple[int, Id | None]:
    """Give the next rows beyond `after` their vectors: how many, and the last id.

    Rows that somebody has locked are passed over. The conversion takes a millisecond
    for ten rows; so long are the rows locked, and an edit waits.
    """
    beyond = SQL("true") if after is None else rows.format(queries.AFTER)
    found = transaction.rows(
        rows.format(queries.TAKE_VECTORLESS, after=beyond),
        {"after": after, "limit": limit},
    )
    if not found:
        return 0, None
    ids = [id_ for id_, _ in found]
    stored = b"".join(bytes(embedding) for _, embedding in found)
    vectors = to_halfvec(np.frombuffer(stored, FLOAT32).reshape(-1, DIMENSION))
    filled = transaction.execute(
        rows.format(queries.STORE_VECTORS), {"ids": ids, "vectors": vectors}
    )
    return filled, ids[-1]


def vectorless_jobs(transaction: Transaction, rows: VectorQuery) -> int:
    """How many rows lack their vector. An index answers."""
    count: int = transaction.rows(rows.format(queries.COUNT_VECTORLESS))[0][0]
    return count


def has_index(transaction: Transaction) -> bool:
    """Whether the index of vectors is there, and whole."""
    query = queries.INDEX_IS_VALID.format(index=Literal(queries.INDEX))
    return bool(transaction.rows(query)[0][0])
