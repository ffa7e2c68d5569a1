"""Advice on SEARCH_BACKEND, from a deployment's own figures. Part of the doctor."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.errors import command_line
from app.query.numbers import counted
from app.storage.catalogue import Catalogue
from app.storage.connection.transaction import Transaction
from app.storage.entity import UNNAMED_VERSION
from app.storage.models import model_in_use
from app.storage.vector_filling import has_index, vectorless_jobs

DAYS_A_MONTH = 30
GIGABYTE = 1_000_000_000

# A scan of this many jobs takes a quarter of a second of two processors, see
# benchmarks/RESULTS.md: a few requests per second delay one another.
MANY_JOBS = 100_000
# Above this cost of traffic, another backend pays off.
EXPENSIVE_USD_PER_MONTH = 10.0

# Ten results, one more to detect the end, and one for a possible tie.
CANDIDATE_BYTES = 1_572
CANDIDATES_READ = 12

# The files of a replica, and twice as many while void rows are taken out of them.
REPLICA_BYTES_PER_JOB = 2_000
COPIES = 2

OtherBackend = Literal["replica", "pgvector"]


@dataclass(frozen=True)
class EgressEstimate:
    """The traffic that recommendations cause between database and service.

    An upper bound: concurrent requests share a scan. `free_disk_bytes`: at CACHE_DIR.
    """

    jobs: int
    bytes_per_recommendation: int
    bytes_with_replica: int
    bytes_with_pgvector: int
    free_disk_bytes: int
    requests_per_day: int
    usd_per_gigabyte: float

    @property
    def bytes_per_month(self) -> int:
        return self.bytes_per_recommendation * self.requests_per_day * DAYS_A_MONTH

    @property
    def usd_per_month(self) -> float:
        return self.bytes_per_month / GIGABYTE * self.usd_per_gigabyte

    @property
    def replica_disk_bytes(self) -> int:
        """The disk that the files of a replica need."""
        return COPIES * self.jobs * REPLICA_BYTES_PER_JOB

    @property
    def advised(self) -> OtherBackend | None:
        """The backend to switch to: the replica if the disk has room for it."""
        if self.jobs < MANY_JOBS and self.usd_per_month < EXPENSIVE_USD_PER_MONTH:
            return None
        has_room = self.replica_disk_bytes <= self.free_disk_bytes
        other = self.bytes_with_replica if has_room else self.bytes_with_pgvector
        if other >= self.bytes_per_recommendation:
            return None
        return "replica" if has_room else "pgvector"


def free_disk_bytes(folder: Path) -> int:
    """The free space where a folder is, or would be."""
    while not folder.exists():
        folder = folder.absolute().parent
    return shutil.disk_usage(folder).free


def missing_for_vectors(
    transaction: Transaction, catalogue: Catalogue
) -> Iterator[tuple[str, str]]:
    """Missing parts of SEARCH_BACKEND=pgvector: pairs of problem and command."""
    if catalogue.vectors is None:
        yield (
            "SEARCH_BACKEND=pgvector needs the table recommender.job_vector.",
            f"{command_line('migrate')} --with pgvector",
        )
        return
    version = model_in_use(transaction) or UNNAMED_VERSION
    if not catalogue.has_vectors(version):
        yield (
            f"There are no vectors by {version}: every request reads all embeddings.",
            f"{command_line('migrate')} --with pgvector --again",
        )
        return
    if count := vectorless_jobs(transaction):
        yield (
            f"{counted(count, 'jobs', 'have')} no vector; each request reads these.",
            f"{command_line('embed')} --what=jobs",
        )
    if not has_index(transaction, version):
        yield (
            "The vectors have no index: every request compares all jobs.",
            command_line("build-vector-index"),
        )
