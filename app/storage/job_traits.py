"""Values of columns, and embeddings, of some jobs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidInputError
from app.query.filters import unknown_column
from app.query.ids import Id
from app.storage.codec import from_bytes
from app.storage.conditions import selected
from app.storage.connection.transaction import Transaction
from app.storage.entity import EntityTable, without_doubled
from app.storage.sql import load

QUERIES = load("jobs")


def values_by_id(
    transaction: Transaction,
    jobs: EntityTable,
    ids: Sequence[Id],
    *,
    columns: Sequence[str],
) -> dict[Id, tuple[object, ...]]:
    """The values of these offered columns, by id; nothing without columns.

    Raises InvalidInputError for a column that is not offered.
    """
    if not columns or not ids:
        return {}
    offered = {column.name: column for column in jobs.columns}
    if not offered.keys() >= set(columns):
        raise InvalidInputError(unknown_column(list(offered)))
    query = jobs.format(
        QUERIES["values_by_id"], columns=selected([offered[n] for n in columns])
    )
    return {
        id_: tuple(values)
        for id_, *values in transaction.rows(query, {"ids": list(ids)})
    }


def embeddings_by_id(
    transaction: Transaction, jobs: EntityTable, ids: Sequence[Id], *, version: str
) -> dict[Id, NDArray[np.float32]]:
    """(dimension,) of those of these jobs that have an embedding of this model; none
    whose id another job has as well.
    """
    if not ids:
        return {}
    query = jobs.format(QUERIES["embeddings_by_id"], version=version)
    rows = transaction.rows(query, {"ids": list(ids)})
    found = {id_: from_bytes(embedding) for id_, embedding in rows}
    return without_doubled(found, (id_ for id_, _ in rows))
