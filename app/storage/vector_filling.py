"""Copy stored embeddings into vectors for pgvector, without encoding.

The backfill stores embeddings; this module fills the vectors of any stored embedding.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from psycopg2.sql import SQL, Composable, Composed, Literal

from app.query.ids import Id
from app.storage.codec import from_bytes, points_somewhere, squared_norms
from app.storage.connection.transaction import Transaction
from app.storage.entity import UNNAMED_VERSION, vector_table
from app.storage.vectors import QUERIES, VectorQuery


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
    if rows.parts:
        transaction.execute(rows.format("drop_vectors"), stored)
        filled = transaction.execute(rows.format("store_vectors_in_parts"), stored)
    else:
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


def has_index(transaction: Transaction, version: str) -> bool:
    """Whether each table of a model's vectors here has a valid index."""
    table = Literal(f"recommender.{vector_table(version)}")
    query = QUERIES["index_is_valid"].format(vector_table=table)
    return bool(transaction.rows(query)[0][0])


def to_halfvec(embeddings: Sequence[NDArray[np.float32]]) -> list[str | None]:
    """Embeddings, (dimension,) each, as texts of the type halfvec, made unit length.

    None for those that cannot be compared, by the rule of `codec.points_somewhere`.
    """
    if not len(embeddings):
        return []
    rows = np.stack(embeddings)
    exact = rows.astype(np.float64)
    with np.errstate(all="ignore"):
        usable = points_somewhere(squared_norms(rows))
        exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    halves = np.where(usable[:, None], exact, 0.0).astype(np.float16)
    if len(halves) < MANY:
        texts = [str(row) for row in halves.tolist()]
    else:
        text = _texts_of_halves()
        texts = [
            f"[{','.join(map(text.__getitem__, row))}]"
            for row in halves.view(np.uint16).tolist()
        ]
    return [
        text if is_usable else None
        for text, is_usable in zip(texts, usable.tolist(), strict=True)
    ]


# From this many rows on they are converted through a table of all halves, five times as
# fast. The table takes 6 MB: the service has none, because it fills a few at a time.
MANY = 100


@cache
def _texts_of_halves() -> Sequence[str]:
    """The text of each half by its bits."""
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    return [repr(float(half)) for half in every]
