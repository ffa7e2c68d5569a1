"""Vectors for rows that have an embedding and no vector of it yet: no text is encoded.

The backfill stores embeddings; their vectors are made from these, by this module, for
whatever stored them.
"""

import numpy as np
from psycopg2.sql import SQL, Composable, Literal

from app.query.ids import Id
from app.storage.codec import DIMENSION, FLOAT32
from app.storage.connection.transaction import Transaction
from app.storage.vectors import QUERIES, VectorQuery, to_halfvec


def fill_vectors(
    transaction: Transaction, rows: VectorQuery, *, after: Id | None, limit: int
) -> tuple[int, Id | None]:
    """Give the next rows beyond `after` their vectors: how many, and the last id.

    Rows whose state somebody has locked are passed over; the team's are not locked. The
    conversion takes a millisecond for ten rows.
    """
    beyond: Composable = SQL("true")
    if after is not None:
        beyond = SQL("s.job_id > {}::{}").format(Literal(after), SQL(rows.job_id.cast))
    taken = transaction.rows(
        rows.format("take_vectorless", after=beyond), {"limit": limit}
    )
    if not taken:
        return 0, None
    ids = [id_ for (id_,) in taken]
    found = transaction.rows(rows.format("embeddings_of"), {"ids": ids})
    stored = b"".join(bytes(embedding) for _, embedding in found)
    vectors = to_halfvec(np.frombuffer(stored, FLOAT32).reshape(-1, DIMENSION))
    filled = transaction.execute(
        rows.format("store_vectors"),
        {"ids": [id_ for id_, _ in found], "vectors": vectors},
    )
    return filled, ids[-1]


def vectorless_jobs(transaction: Transaction, rows: VectorQuery) -> int:
    """How many rows lack their vector. An index answers."""
    count: int = transaction.rows(rows.format("count_vectorless"))[0][0]
    return count


def has_index(transaction: Transaction) -> bool:
    """Whether the index of vectors is there, and whole."""
    return bool(transaction.rows(QUERIES["index_is_valid"])[0][0])
