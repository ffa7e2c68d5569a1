"""The doctor's queries: triggers, indexes, migrations, sizes, limits."""

from collections.abc import Mapping, Sequence
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
    "synonym", "claim", "resplit", "failure", "identity", "entity", "model",
    "job_embedding", "user_embedding", "skill_embedding", "recommendation",
    "recommendation_run", "feedback", "exposure", "migration",
)  # fmt: skip
INDEXES = (
    "job_state_unfinished_idx", "user_state_unfinished_idx", "job_state_changed_idx",
    "job_state_doubled_idx", "job_state_gone_idx", "skill_revision_idx",
    "skill_embedding_revision_idx",
)  # fmt: skip
# Of migrations/pgvector.
VECTOR_OBJECTS = (
    "job_state_vectorless_idx",
    "vector_table",
    "add_vectors",
    "compare_vectors",
    "forget_vector",
    "forget_vector_of_other",
)
# Without one of these, a trigger fails the team's own statement.
FUNCTIONS = (
    "place", "next_revision", "set_revision", "new_vocabulary", "as_text", "key_type",
    "state_of", "record_job_text", "record_job_embedding", "record_job_gone",
    "job_written", "forget_embedding", "jobs_truncated", "record_user",
    "user_written", "users_truncated", "keep_own_row", "adopt", "use_model",
    "reconcile", "is_job_key", "is_user_key", "as_skill_key", "set_skill_keys",
    "synonyms_changed", "synonyms_truncated", "admit", "admit_rows", "empty_notes",
    "use_split", "text_hash", "parts_of", "model_in_use", "check_model",
    "job_state_of", "add_model", "switch_model", "compare_states", "job_titled",
    "drop_vectors",
)  # fmt: skip


@dataclass(frozen=True)
class LostTrigger:
    """A trigger that does not work, on a table of `owner`.

    `owner`: jobs, users, ours, or vectors for the objects of migrations/pgvector.
    `why`: "lost" is missing or disabled; "not always" does not fire for replicated
    rows; "foreign" calls another function.
    """

    owner: str
    table: str
    trigger: str
    why: Literal["lost", "not always", "off in a partition", "foreign"]


@dataclass(frozen=True)
class KeyColumn:
    """The id of a served table, quoted, and whether an index finds rows by it."""

    entity: str
    table: str
    column: str
    is_partitioned: bool
    is_indexed: bool


@dataclass(frozen=True)
class TableSize:
    """Bytes on disk: the rows, and the total with indexes and TOAST.

    The last one is the sum of the service's own tables.
    """

    name: str
    row_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class DatabaseIdentity:
    """Whether the database is a copy that was not adopted, and its model's version."""

    is_copy: bool
    embedding_version: str | None


@dataclass(frozen=True)
class Limits:
    """The connections of ordinary roles: the limit and those in use; and our role."""

    connections: int
    connections_in_use: int
    role: str
    is_superuser: bool


def server_version(transaction: Transaction) -> tuple[int, str]:
    """The server's version, such as 160004 and "16.4"."""
    number, name = transaction.rows(QUERIES["server"])[0]
    return number, name


def lost_triggers(transaction: Transaction) -> list[LostTrigger]:
    """Triggers that do not work, on the team's tables and ours.

    Without them, edits leave stale embeddings behind.
    """
    return [LostTrigger(*row) for row in transaction.rows(QUERIES["triggers"])]


def absent(transaction: Transaction, names: Sequence[str]) -> list[str]:
    """Which of these objects the database lacks."""
    rows = transaction.rows(QUERIES["present"], {"names": list(names)})
    present = {name for (name,) in rows}
    return [name for name in names if name not in present]


def outdated(transaction: Transaction, checksums: Mapping[str, str]) -> list[str]:
    """The migrations that were applied in another version, by their checksums."""
    rows = transaction.rows(load("migrations")["recorded"])
    return sorted(
        name for name, checksum in rows if checksums.get(name, checksum) != checksum
    )


def key_columns(transaction: Transaction) -> list[KeyColumn]:
    """The id columns of both tables."""
    return [KeyColumn(*row) for row in transaction.rows(QUERIES["keys"])]


def sizes(transaction: Transaction) -> list[TableSize]:
    """The sizes of the team's two tables and of the service's own."""
    return [TableSize(*row) for row in transaction.rows(QUERIES["sizes"])]


def identity(transaction: Transaction) -> DatabaseIdentity:
    """The identity of the database, and the current model."""
    return DatabaseIdentity(*transaction.rows(QUERIES["identity"])[0])


def limits(transaction: Transaction) -> Limits:
    """The server's limits of connections, and our role."""
    return Limits(*transaction.rows(QUERIES["limits"])[0])


def typical_text_bytes(transaction: Transaction, jobs: EntityTable) -> int:
    """The average length of a job's text, from a sample of 1,000."""
    count: int = transaction.rows(jobs.format(QUERIES["text_bytes"]))[0][0]
    return count
