"""Access rights: those this role lacks, and tables readable by other roles."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.storage.connection.transaction import Transaction
from app.storage.sql import load

QUERIES = load("access")


@dataclass(frozen=True)
class OpenRelation:
    """A relation that another role can read; of the jobs, one that holds embeddings.

    `owner` is jobs, users or ours; `kind` is pg_class.relkind; `quoted_role` and
    `policy` are quoted for SQL. A policy lets the role through row-level security.
    """

    owner: str
    relation: str
    kind: str
    role: str
    quoted_role: str
    policy: str | None


def can_look(transaction: Transaction) -> bool | None:
    """Check for USAGE on the schema `recommender`; None if there is no such schema."""
    rows = transaction.rows(QUERIES["can_look"])
    return rows[0][0] if rows else None


def lacking_rights(
    transaction: Transaction, *, columns: Sequence[str], writes: bool
) -> list[str]:
    """The rights that this role needs and lacks, in GRANT syntax.

    `columns`: columns of the jobs besides those that are always read; `writes`: whether
    this role embeds rows.
    """
    given: dict[str, object] = {"columns": list(columns), "writes": writes}
    return [right for (right,) in transaction.rows(QUERIES["lacking"], given)]


def is_member(transaction: Transaction, role: str) -> bool | None:
    """Check whether this role is a member of `role`; None if `role` does not exist."""
    rows = transaction.rows(QUERIES["member"], {"role": role})
    return rows[0][0] if rows else None


def hidden_tables(transaction: Transaction) -> list[str]:
    """The tables whose rows row-level security hides from this role."""
    return [name for (name,) in transaction.rows(QUERIES["hidden"])]


def open_relations(transaction: Transaction) -> list[OpenRelation]:
    """The relations that other roles can read: both tables, their views, and ours."""
    return [OpenRelation(*row) for row in transaction.rows(QUERIES["exposed"])]
