"""Copy stored embeddings into vectors for pgvector, without encoding.

The backfill stores embeddings; this module fills the vectors of any stored embedding.
"""

from psycopg2.sql import SQL, Composable, Composed, Literal

from app.query.ids import Id
from app.storage.codec import from_bytes
from app.storage.connection.transaction import Transaction
from app.storage.entity import UNNAMED_VERSION, vector_table
from app.storage.vectors import QUERIES, VectorQuery, to_halfvec


def fill_vectors(
    transaction: Transaction,
    rows: VectorQuery,
    *,
    after: Id | None,
    limit: int,
    beside: bool = False,
) -> tuple[int, Id | None]:
    """Fill the vectors of the next rows beyond `after`. Returns their number and the
    last id.

    Skips rows whose state is locked; does not lock the team's rows. The conversion of
    ten rows takes a millisecond. `beside`: of a model that is not in use; without it
    nothing is filled for such a model.
    """
    ((in_use,),) = transaction.rows(QUERIES["hold_model"])
    if ((in_use or UNNAMED_VERSION) == rows.version) == beside:
        return 0, None
    beyond: Composable = SQL("true")
    if after is not None:
        beyond = SQL("s.job_id > {}::{}").format(Literal(after), SQL(rows.job_id.cast))
    take = rows.format(
        "take_vectorless", after=beyond, is_missing=_missing(rows, beside=beside)
    )
    taken = transaction.rows(take, {"limit": limit})
    if not taken:
        return 0, None
    ids = [id_ for (id_,) in taken]
    found = transaction.rows(rows.format("embeddings_of"), {"ids": ids})
    vectors = to_halfvec([from_bytes(embedding) for _, embedding in found])
    stored: dict[str, object] = {"ids": [id_ for id_, _ in found], "vectors": vectors}
    filled = transaction.execute(rows.format("store_vectors"), stored)
    if not beside:
        transaction.execute(rows.format("record_vectors"), stored)
    return filled, ids[-1]


def _missing(rows: VectorQuery, *, beside: bool) -> Composed:
    return rows.format("is_vectorless_beside" if beside else "is_vectorless")


def has_vectors_in_use(transaction: Transaction, version: str) -> bool:
    """Whether the model is in use and has a table of vectors."""
    query = QUERIES["fills_vectors"].format(
        vector_table=Literal(f"recommender.{vector_table(version)}"),
        version=Literal(version),
    )
    return bool(transaction.rows(query)[0][0])


def vectorless_jobs(transaction: Transaction) -> int:
    """The number of rows without a vector by the model in use, by an index."""
    count: int = transaction.rows(QUERIES["count_vectorless"])[0][0]
    return count


def vectorless_beside(transaction: Transaction, rows: VectorQuery) -> int:
    """The number of rows with an embedding by another model than the one in use, and
    without a vector by it. Reads the tables.
    """
    is_missing = _missing(rows, beside=True)
    query = rows.format("count_vectorless_beside", is_missing=is_missing)
    count: int = transaction.rows(query)[0][0]
    return count


def vector_index(version: str) -> str:
    """The name of the index of a model's vectors, in our schema."""
    return f"{vector_table(version)}_hnsw_idx"


def has_index(transaction: Transaction, version: str) -> bool:
    """Whether the index of a model's vectors exists and is valid."""
    index = Literal(f"recommender.{vector_index(version)}")
    query = QUERIES["index_is_valid"].format(index=index)
    return bool(transaction.rows(query)[0][0])
