"""Who may do what: rights that this role lacks, and tables that strangers can read."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.storage.connection.transaction import Transaction
from app.storage.sql import load

QUERIES = load("access")


@dataclass(frozen=True)
class Exposure:
    """A relation that a role can read; for jobs, its embeddings.

    `owner` is jobs, users or ours; `kind` as in pg_class.relkind; `quoted_role` and
    `policy` as SQL takes them. A policy lets the role through row-level security.
    """

    owner: str
    relation: str
    kind: str
    role: str
    quoted_role: str
    policy: str | None


def can_look(transaction: Transaction) -> bool | None:
    """Whether this role may look into the schema of ours; None where there is none."""
    rows = transaction.rows(QUERIES["can_look"])
    return rows[0][0] if rows else None


def lacking_rights(
    transaction: Transaction, *, columns: Sequence[str], writes: bool
) -> list[str]:
    """What this role needs and may not, as GRANT takes it. `columns`: of the jobs,
    beside those that are always read; `writes`: whether it embeds.
    """
    given: dict[str, object] = {"columns": list(columns), "writes": writes}
    return [right for (right,) in transaction.rows(QUERIES["lacking"], given)]


def is_member(transaction: Transaction, role: str) -> bool | None:
    """Whether this role is one of that role's; None where there is no such role."""
    rows = transaction.rows(QUERIES["member"], {"role": role})
    return rows[0][0] if rows else None


def hidden_tables(transaction: Transaction) -> list[str]:
    """Those whose rows row-level security would hide from this role."""
    return [name for (name,) in transaction.rows(QUERIES["hidden"])]


def exposures(transaction: Transaction) -> list[Exposure]:
    """What the outside can read, of the team's two tables, views of them, and ours."""
    return [Exposure(*row) for row in transaction.rows(QUERIES["exposed"])]
