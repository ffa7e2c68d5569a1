"""Users in Postgres: their skills texts and the embeddings of these, by id."""

from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from psycopg2.sql import Composed

from app.query.feedback import NO_FEEDBACK, UserFeedback
from app.query.ids import Id
from app.storage.codec import from_bytes, points_somewhere, squared_norms
from app.storage.connection.transaction import Transaction
from app.storage.entity import EntityTable, without_doubled
from app.storage.sql import load

QUERIES = load("users")
FEEDBACK_QUERIES = load("feedback")


@dataclass(frozen=True)
class User:
    """A user's text, its embedding if a valid one is stored, and the feedback."""

    skills: str | None
    embedding: NDArray[np.float32] | None  # (dimension,), as stored
    feedback: UserFeedback = NO_FEEDBACK


def users_by_id(
    transaction: Transaction,
    ids: Sequence[Id],
    *,
    users: EntityTable,
    version: str,
) -> dict[Id, User]:
    """The users with these ids, without those that share an id with another user.

    `ids`: as returned by `IdColumn.parse`.
    """
    query = users.format(QUERIES["by_id"], version=version, events=events_of(users))
    rows = transaction.rows(query, {"ids": transaction.holdable(ids)})
    found = {
        id_: User(skills, _sound(stored), read_events(events))
        for id_, skills, stored, events in rows
    }
    return without_doubled(found, (row[0] for row in rows))


def events_of(users: EntityTable) -> Composed:
    """A part of statements that read users `t`: their events, for `read_events`."""
    return users.format(FEEDBACK_QUERIES["events"])


def read_events(stored: Sequence[str] | None) -> UserFeedback:
    """The events of a user, as a statement returns them."""
    if not stored:
        return NO_FEEDBACK
    parts = (each.split(" ", 2) for each in stored)
    return UserFeedback(tuple((event, int(at), job) for event, at, job in parts))


def count_users(transaction: Transaction, users: EntityTable) -> int:
    """The number of users; for a large table, the estimate of its statistics."""
    count: int = transaction.rows(users.format(QUERIES["count"]))[0][0]
    return count


def _sound(stored: str | None) -> NDArray[np.float32] | None:
    """The embedding; None if it has no direction, so that the text is encoded again."""
    if stored is None:
        return None
    embedding = from_bytes(b64decode(stored))
    return embedding if points_somewhere(squared_norms(embedding[None]))[0] else None
