"""Copy stored embeddings into vectors for pgvector, without encoding.

The backfill stores embeddings; this module fills the vectors of any stored embedding.
"""

from psycopg2.sql import SQL, Composable, Literal

from app.query.ids import Id
from app.storage.codec import from_bytes
from app.storage.connection.transaction import Transaction
from app.storage.vectors import QUERIES, VectorQuery, to_halfvec


def fill_vectors(
    transaction: Transaction, rows: VectorQuery, *, after: Id | None, limit: int
) -> tuple[int, Id | None]:
    """Fill the vectors of the next rows beyond `after`. Returns their number and the
    last id.

    Skips rows whose state is locked; does not lock the team's rows. The conversion of
    ten rows takes a millisecond.
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
    vectors = to_halfvec([from_bytes(embedding) for _, embedding in found])
    filled = transaction.execute(
        rows.format("store_vectors"),
        {"ids": [id_ for id_, _ in found], "vectors": vectors},
    )
    return filled, ids[-1]


def vectorless_jobs(transaction: Transaction) -> int:
    """The number of rows without a vector, by an index."""
    count: int = transaction.rows(QUERIES["count_vectorless"])[0][0]
    return count


def has_index(transaction: Transaction) -> bool:
    """Whether the vector index exists and is valid."""
    return bool(transaction.rows(QUERIES["index_is_valid"])[0][0])
