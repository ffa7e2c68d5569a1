"""Prepare queries from profiles: a user's stored embedding, or a text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.errors import AppError, InvalidInputError, UserNotFoundError
from app.query import cursor
from app.query.feedback import Taste
from app.query.ids import Id
from app.query.query import Query
from app.ranking.retrieval.snapshot_jobs import SnapshotJobs
from app.ranking.skills.ranking_state import NO_VALUES, RankingState, read_state
from app.ranking.taste import Pull, read_pulls
from app.storage.catalogue import Catalogue
from app.storage.connection.transaction import Transaction
from app.storage.users import User, users_by_id

NO_SKILLS = "This user has no skills to match."
NO_STATE = RankingState(NO_VALUES)


@dataclass(frozen=True)
class CosineQuery:
    """A text to encode, or a stored embedding: (dimension,) float32; and the pull of
    the user's feedback.

    `query_hash`: the hash for its cursors. `own_id`: the id of its own row. `left_out`:
    the jobs that are left out because of the user's feedback.
    """

    vector: str | NDArray[np.float32]
    query_hash: bytes = b""
    own_id: Id | None = None
    left_out: Sequence[Id] = ()
    pull: Pull | None = None
    is_textless: bool = False
    # Of its cursors: feedback after the first page does not change the order.
    state: RankingState = NO_STATE


# A prepared query, its error, or a message that explains an empty result.
Prepared = CosineQuery | AppError | str


def prepare_profiles(
    transaction: Transaction,
    catalogue: Catalogue,
    queries: Sequence[Query],
    *,
    version: str,
    jobs: SnapshotJobs,
) -> list[Prepared]:
    """Read the users of the queries and their feedback, and check the cursors."""
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
    users = [found.get(key) if key is not None else None for key in keys]
    tastes = [_taste(*each) for each in zip(queries, users, strict=True)]
    pulls = read_pulls(jobs.rows, catalogue.job_id, tastes)
    return [
        _prepare(query, key, user, pull, version=version, as_of=taste.as_of)
        for query, key, user, taste, pull in zip(
            queries, keys, users, tastes, pulls, strict=True
        )
    ]


def _taste(query: Query, user: User | None) -> Taste:
    """The user's taste as of the first page."""
    if user is None:
        return Taste()
    state = _state_before(query)
    return user.feedback.taste(None if state is None else state.as_of)


def _state_before(query: Query) -> RankingState | None:
    """That of the page before; None on a first page."""
    after = query.constraints.after
    return None if after is None else read_state(after.ranking_state) or NO_STATE


def _prepare(
    query: Query,
    key: Id | None,
    user: User | None,
    pull: Pull | None,
    *,
    version: str,
    as_of: int,
) -> Prepared:
    vector: str | NDArray[np.float32]
    left_out: Sequence[Id] = ()
    if query.text is not None:
        text = vector = query.text
    elif user is None:
        return UserNotFoundError("No user has this user_id.")
    else:
        left_out = user.feedback.left_out
        text = user.skills or ""
        if text.strip():
            vector = text if user.embedding is None else user.embedding
        elif pull is not None and pull.profile is not None:
            vector = pull.profile
        else:
            return NO_SKILLS
    digest = None if pull is None else pull.digest
    query_hash = cursor.query_hash(version, key, text, query.order, digest)
    try:
        cursor.check(query.constraints.after, query_hash)
    except InvalidInputError as error:
        return error
    is_textless = pull is not None and vector is pull.profile
    state = replace(_state_before(query) or NO_STATE, as_of=as_of)
    return CosineQuery(vector, query_hash, None, left_out, pull, is_textless, state)
