"""Prepare queries from profiles: a user's stored embedding, or a text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.errors import AppError, InvalidInputError, UserNotFoundError
from app.query import cursor
from app.query.ids import Id
from app.query.query import Query
from app.storage.catalogue import Catalogue
from app.storage.connection.transaction import Transaction
from app.storage.users import User, users_by_id

NO_SKILLS = "This user has no skills to match."


@dataclass(frozen=True)
class CosineQuery:
    """A text to encode, or a stored embedding: (dimension,) float32.

    `query_hash`: the hash for its cursors. `own_id`: the id of its own row. `left_out`:
    the jobs that are left out because of the user's feedback.
    """

    vector: str | NDArray[np.float32]
    query_hash: bytes = b""
    own_id: Id | None = None
    left_out: Sequence[Id] = ()


# A prepared query, its error, or a message that explains an empty result.
Prepared = CosineQuery | AppError | str


def prepare_profiles(
    transaction: Transaction,
    catalogue: Catalogue,
    queries: Sequence[Query],
    *,
    version: str,
) -> list[Prepared]:
    """Read the users of the queries, and check the cursors."""
    keys = [
        None if q.source_id is None else catalogue.user_id.parse(q.source_id)
        for q in queries
    ]
    ids = {key for key in keys if key is not None}
    found = (
        users_by_id(transaction, list(ids), users=catalogue.users, version=version)
        if ids
        else {}
    )
    return [
        _prepare(query, key, found, version)
        for query, key in zip(queries, keys, strict=True)
    ]


def _prepare(
    query: Query, key: Id | None, found: Mapping[Id, User], version: str
) -> Prepared:
    vector: str | NDArray[np.float32]
    left_out: Sequence[Id] = ()
    if query.text is not None:
        text = vector = query.text
    elif key is None or key not in found:
        return UserNotFoundError("No user has this user_id.")
    else:
        user = found[key]
        if not user.skills or not user.skills.strip():
            return NO_SKILLS
        text = user.skills
        vector = text if user.embedding is None else user.embedding
        left_out = user.left_out
    query_hash = cursor.query_hash(
        query.key.ranking, version, key, text, query.key.filters
    )
    try:
        cursor.check(query.constraints.after, query_hash)
    except InvalidInputError as error:
        return error
    return CosineQuery(vector, query_hash, left_out=left_out)
