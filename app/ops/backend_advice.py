"""Advice on SEARCH_BACKEND, from a deployment's own figures. Part of the doctor."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.storage.catalogue import Catalogue
from app.storage.connection.transaction import Transaction
from app.storage.vector_filling import has_index, vectorless_jobs
from app.storage.vectors import VectorQuery

DAYS_A_MONTH = 30
GIGABYTE = 1_000_000_000

# A scan of this many jobs takes a quarter of a second of two processors, see
# benchmarks/RESULTS.md: a few requests per second delay one another.
MANY_JOBS = 100_000
# Above this cost of traffic, the set-up in docs/pgvector.md pays off.
EXPENSIVE_USD_PER_MONTH = 10.0

# Ten results, one more to detect the end, and one for a possible tie.
CANDIDATE_BYTES = 1_572
CANDIDATES_READ = 12


@dataclass(frozen=True)
class EgressEstimate:
    """The traffic that recommendations cause between database and service.

    An upper bound: concurrent requests share a scan.
    """

    jobs: int
    bytes_per_recommendation: int
    bytes_with_pgvector: int
    requests_per_day: int
    usd_per_gigabyte: float

    @property
    def bytes_per_month(self) -> int:
        return self.bytes_per_recommendation * self.requests_per_day * DAYS_A_MONTH

    @property
    def usd_per_month(self) -> float:
        return self.bytes_per_month / GIGABYTE * self.usd_per_gigabyte

    @property
    def should_switch(self) -> bool:
        """Whether SEARCH_BACKEND=pgvector is recommended."""
        is_less = self.bytes_with_pgvector < self.bytes_per_recommendation
        return is_less and (
            self.jobs >= MANY_JOBS or self.usd_per_month >= EXPENSIVE_USD_PER_MONTH
        )


def missing_for_vectors(
    transaction: Transaction, catalogue: Catalogue, *, version: str
) -> Iterator[tuple[str, str]]:
    """Missing parts of SEARCH_BACKEND=pgvector: pairs of problem and command."""
    if catalogue.vectors is None:
        yield (
            "SEARCH_BACKEND=pgvector needs the table recommender.job_vector.",
            "python scripts/migrate.py --with pgvector",
        )
        return
    rows = VectorQuery.of(catalogue, version)
    if count := vectorless_jobs(transaction, rows):
        yield (
            f"{count} jobs have no vector yet; every request reads their embeddings.",
            "python scripts/generate_embeddings.py --what=jobs",
        )
    if not has_index(transaction):
        yield (
            "The vectors have no index: every request compares all jobs.",
            "python scripts/build_vector_index.py",
        )
