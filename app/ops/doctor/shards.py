"""The shards: whether each can be reached, and holds what the coordinator expects."""

from collections.abc import Iterator, Mapping, Sequence

from app.errors import command_line
from app.ops.doctor.finding import REPAIR_COMMAND, Finding
from app.storage.catalogue import Catalogue
from app.storage.connection.transaction import Transaction
from app.storage.entity import UNNAMED_VERSION
from app.storage.shards import (
    SHARDS_SCHEMA,
    PartHealth,
    PlacedPart,
    has_vector_statistics,
    job_columns,
    placed_parts,
    shard_health,
)

SHARDS_COMMAND = f"{command_line('shards')} FILE"


def shard_names(transaction: Transaction) -> list[str]:
    """The shards that hold jobs."""
    return sorted({part.shard for part in placed_parts(transaction) if part.shard})


def unreachable(shard: str) -> Finding:
    """The finding for a shard that is away."""
    return Finding(
        f"The shard {shard} does not answer: requests get 503 until it does.",
        f"Start the server, or correct its url in FILE and run {SHARDS_COMMAND}",
    )


def lost_tables(shard: str) -> Finding:
    """The finding for a shard whose database has no tables of ours any more."""
    return Finding(
        f"The shard {shard} has lost its tables: requests that need its jobs fail.",
        "Restore the shard's database from its backup.",
    )


def shard_findings(transaction: Transaction, *, shard: str) -> Iterator[Finding]:
    """What is wrong with the partitions of one shard."""
    there = shard_health(transaction, shard)
    parts = [part for part in placed_parts(transaction) if part.shard == shard]
    yield from _job_findings(parts, there, job_columns(transaction), shard)
    # Where a column places the jobs, vectors stay on the coordinator.
    by_hash = [there[p.name] for p in parts if p.is_by_hash and p.name in there]
    if Catalogue.read(transaction).has_vectors(UNNAMED_VERSION):
        yield from _vector_findings(transaction, by_hash, shard)


def _job_findings(
    parts: Sequence[PlacedPart],
    there: Mapping[str, PartHealth],
    columns: Sequence[str],
    shard: str,
) -> Iterator[Finding]:
    for part in parts:
        found = there.get(part.name)
        if found is None:
            yield Finding(
                f"The shard {shard} has no partition {part.name} any more.",
                "Restore the shard's database from its backup.",
            )
            continue
        if not found.is_guarded:
            yield Finding(
                f"Who writes to {part.name} on the shard {shard} goes unnoticed: its"
                " triggers are missing or disabled.",
                f"Take {shard} out of FILE, run {SHARDS_COMMAND}, and put it back;"
                f" then {REPAIR_COMMAND}",
            )
        if not found.is_indexed:
            yield Finding(
                f"{part.name} on the shard {shard} has no index on job_id: each request"
                " reads all of it.",
                f"CREATE INDEX ON {SHARDS_SCHEMA}.{part.name} (job_id);",
            )
        if missing := [name for name in columns if name not in found.columns]:
            yield Finding(
                f"{part.name} on the shard {shard} lacks the columns"
                f" {', '.join(missing)} of the jobs.",
                SHARDS_COMMAND,
            )
        if part.lacks_statistics:
            yield Finding(
                f"{part.name} has no statistics, and is planned as a small table.",
                f"ANALYZE {SHARDS_SCHEMA}.{part.name};",
            )


def _vector_findings(
    transaction: Transaction, parts: Sequence[PartHealth], shard: str
) -> Iterator[Finding]:
    """What SEARCH_BACKEND=pgvector lacks on one shard."""
    if not all(part.has_vectors for part in parts):
        yield Finding(
            f"The vectors of jobs on the shard {shard} are not there: the coordinator"
            " searches them, and looks the jobs up one by one.",
            SHARDS_COMMAND,
        )
    elif not all(part.has_vector_index for part in parts):
        yield Finding(
            f"Vectors on the shard {shard} have no index: each search compares all of"
            " them.",
            command_line("build-vector-index"),
        )
    elif not has_vector_statistics(transaction, shard):
        yield Finding(
            f"Vectors on the shard {shard} have no statistics here: each search reads"
            " all of them.",
            command_line("build-vector-index"),
        )
