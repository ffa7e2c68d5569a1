"""Users in Postgres: their skills texts by id."""

from collections.abc import Sequence

from app.storage import queries
from app.storage.database import Transaction
from app.storage.ids import Id, IdColumn


def user_texts(
    transaction: Transaction, ids: Sequence[Id], *, user_id: IdColumn
) -> dict[Id, str | None]:
    """The `skills` of the users with these ids, as `IdColumn.parse` gives them."""
    query = queries.USER_TEXTS.format(id_type=user_id.cast)
    return dict(transaction.rows(query, {"ids": list(ids)}))


def count_users(transaction: Transaction) -> int:
    """The number of users."""
    count: int = transaction.rows(queries.COUNT_USERS)[0][0]
    return count
