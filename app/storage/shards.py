"""Jobs on other servers: which partition lies where, and what each shard says of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg2.sql import Identifier

from app.errors import ConfigError, command_line
from app.storage.connection.transaction import Transaction
from app.storage.entity import UNNAMED_VERSION
from app.storage.sql import load

QUERIES = load("shards")
SHARDS_SCHEMA = "recommender_shards"
# Of the partitions of jobs, and of those of their vectors, which end with the same.
JOBS_PREFIX = "jobs_"
VECTORS_PREFIX = "vectors_"
# Of the foreign tables that show what a shard says.
HEALTH_PREFIX = "health_"


@dataclass(frozen=True)
class PlacedPart:
    """A partition of the jobs. `shard`: None where it lies on the coordinator."""

    name: str
    shard: str | None
    bound: str
    lacks_statistics: bool = False

    @property
    def is_by_hash(self) -> bool:
        """Whether a hash of job_id places its rows."""
        return self.bound.startswith("FOR VALUES WITH")


@dataclass(frozen=True)
class PartHealth:
    """What a shard says of a partition; `is_guarded`: only the coordinator writes."""

    is_guarded: bool
    is_indexed: bool
    columns: Sequence[str]
    has_vectors: bool
    has_vector_index: bool


def has_shards(transaction: Transaction) -> bool:
    """Whether another server holds some of the jobs."""
    return transaction.rows(QUERIES["any_remote"]) == [(True,)]


def check_model(transaction: Transaction, version: str) -> None:
    """Raise ConfigError for a model whose embeddings shards cannot hold."""
    if version != UNNAMED_VERSION and has_shards(transaction):
        raise ConfigError(
            f"The jobs lie on shards, which hold embeddings of {UNNAMED_VERSION} only;"
            f" set MODEL={UNNAMED_VERSION}, or gather them first:"
            f" `{command_line('shards')} FILE`, with a FILE that lists no servers."
        )


def placed_parts(transaction: Transaction) -> list[PlacedPart]:
    """The partitions that `scripts/shards.py` made, in the order of their numbers."""
    return [PlacedPart(*row) for row in transaction.rows(QUERIES["placed"])]


def has_vector_statistics(transaction: Transaction, shard: str) -> bool:
    """Whether the planner knows how many vectors lie there."""
    rows = transaction.rows(QUERIES["placed_vectors"])
    return not any(lacks for _, where, lacks in rows if where == shard)


def shard_health(transaction: Transaction, shard: str) -> Mapping[str, PartHealth]:
    """The partitions on a shard by name. Raises ConnectionLostError if it is away."""
    health = Identifier(SHARDS_SCHEMA, HEALTH_PREFIX + shard)
    rows = transaction.rows(QUERIES["ask_health"].format(health=health))
    return {name: PartHealth(*rest) for name, *rest in rows}


def job_columns(transaction: Transaction) -> list[str]:
    """The columns of the jobs."""
    return [row[0] for row in transaction.rows(QUERIES["columns"])]
