"""What a look at a deployment asks the database: triggers, grants, limits."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.storage.connection.transaction import Transaction
from app.storage.entity import EntityTable
from app.storage.sql import load

QUERIES = load("inspection")

# In the schema recommender.
TABLES = (
    "job_state", "user_state", "skill", "skill_vocabulary", "synonym", "claim",
    "failure", "identity", "entity", "job_embedding", "recommendation",
)  # fmt: skip
INDEXES = (
    "job_state_unfinished_idx", "user_state_unfinished_idx", "job_state_changed_idx",
    "job_state_doubled_idx", "job_state_gone_idx", "skill_revision_idx",
)  # fmt: skip


@dataclass(frozen=True)
class LostTrigger:
    """A trigger that is missing or off; `entity` is jobs or users."""

    entity: str
    table: str
    trigger: str


@dataclass(frozen=True)
class Exposure:
    """A table that a role can read though no row-level security restrains it."""

    table: str
    role: str


@dataclass(frozen=True)
class Limits:
    """Connections that the server lends to ordinary roles, those in use, and ours."""

    connections: int
    connections_in_use: int
    role: str
    is_superuser: bool


def lost_triggers(transaction: Transaction) -> list[LostTrigger]:
    """Those without which edits leave stale embeddings behind."""
    return [LostTrigger(*row) for row in transaction.rows(QUERIES["lost_triggers"])]


def absent(transaction: Transaction, names: Sequence[str]) -> list[str]:
    """Those of these tables and indexes of ours that the database does not have."""
    rows = transaction.rows(QUERIES["present"], {"names": list(names)})
    present = {name for (name,) in rows}
    return [name for name in names if name not in present]


def exposures(transaction: Transaction) -> list[Exposure]:
    """The tables, the team's two and ours, that the outside can read."""
    return [Exposure(*row) for row in transaction.rows(QUERIES["exposed"])]


def limits(transaction: Transaction) -> Limits:
    """What the server allows, and whom it takes us for."""
    return Limits(*transaction.rows(QUERIES["limits"])[0])


def typical_text_bytes(transaction: Transaction, jobs: EntityTable) -> int:
    """The average length of a job's text, from a thousand of them."""
    count: int = transaction.rows(jobs.format(QUERIES["text_bytes"]))[0][0]
    return count
