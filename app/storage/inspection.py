"""What a look at a deployment asks the catalogue: triggers, indexes, sizes, limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.storage.connection.transaction import Transaction
from app.storage.entity import EntityTable
from app.storage.sql import load

QUERIES = load("inspection")

OLDEST_SERVER = 140_000

# In the schema recommender.
TABLES = (
    "job_state", "user_state", "new_job", "new_user", "skill", "skill_vocabulary",
    "synonym", "claim", "resplit", "failure", "identity", "entity", "job_embedding",
    "recommendation", "recommendation_run", "migration",
)  # fmt: skip
INDEXES = (
    "job_state_unfinished_idx", "user_state_unfinished_idx", "job_state_changed_idx",
    "job_state_doubled_idx", "job_state_gone_idx", "skill_revision_idx",
)  # fmt: skip
# Of migrations/pgvector.
VECTOR_OBJECTS = ("job_state_vectorless_idx", "forget_vector")
# A trigger that lacks one of these stops the team's own statement.
FUNCTIONS = (
    "place", "next_revision", "set_revision", "new_vocabulary", "as_text", "key_type",
    "state_of", "record_job_text", "record_job_embedding", "record_job_gone",
    "job_written", "forget_embedding", "jobs_truncated", "record_user",
    "user_written", "users_truncated", "keep_own_row", "adopt", "use_model",
    "reconcile", "is_job_key", "is_user_key",
)  # fmt: skip


@dataclass(frozen=True)
class LostTrigger:
    """A trigger that does not do its work, on a table of `owner`: jobs, users, ours,
    or vectors for what migrations/pgvector made.

    `why`: "lost" is missing or off; "not always" misses what replication writes;
    "foreign" calls another's function.
    """

    owner: str
    table: str
    trigger: str
    why: Literal["lost", "not always", "off in a partition", "foreign"]


@dataclass(frozen=True)
class KeyColumn:
    """The id of a served table, quoted, and whether an index finds a row by it."""

    entity: str
    table: str
    column: str
    is_partitioned: bool
    is_indexed: bool


@dataclass(frozen=True)
class TableSize:
    """Bytes on disk: the rows, and all with indexes and long values. The last one is
    that of all tables of ours.
    """

    name: str
    row_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class DatabaseIdentity:
    """Whether the database is a copy that nobody adopted, and its model's version."""

    is_copy: bool
    embedding_version: str


@dataclass(frozen=True)
class Limits:
    """Connections that the server lends to ordinary roles, those in use, and ours."""

    connections: int
    connections_in_use: int
    role: str
    is_superuser: bool


def server_version(transaction: Transaction) -> tuple[int, str]:
    """As 160004 and as "16.4"."""
    number, name = transaction.rows(QUERIES["server"])[0]
    return number, name


def lost_triggers(transaction: Transaction) -> list[LostTrigger]:
    """Those without which edits leave stale embeddings behind, and ours."""
    return [LostTrigger(*row) for row in transaction.rows(QUERIES["triggers"])]


def absent(transaction: Transaction, names: Sequence[str]) -> list[str]:
    """Those of these objects of ours that the database does not have."""
    rows = transaction.rows(QUERIES["present"], {"names": list(names)})
    present = {name for (name,) in rows}
    return [name for name in names if name not in present]


def key_columns(transaction: Transaction) -> list[KeyColumn]:
    """The ids of both tables."""
    return [KeyColumn(*row) for row in transaction.rows(QUERIES["keys"])]


def sizes(transaction: Transaction) -> list[TableSize]:
    """Of the team's two tables, and of all that is ours."""
    return [TableSize(*row) for row in transaction.rows(QUERIES["sizes"])]


def identity(transaction: Transaction) -> DatabaseIdentity:
    """Which database this is, and whose embeddings count."""
    return DatabaseIdentity(*transaction.rows(QUERIES["identity"])[0])


def limits(transaction: Transaction) -> Limits:
    """What the server allows, and whom it takes us for."""
    return Limits(*transaction.rows(QUERIES["limits"])[0])


def typical_text_bytes(transaction: Transaction, jobs: EntityTable) -> int:
    """The average length of a job's text, from a thousand of them."""
    count: int = transaction.rows(jobs.format(QUERIES["text_bytes"]))[0][0]
    return count
