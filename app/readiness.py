"""Whether the service can answer, and how many rows are in which state."""

import time
from dataclasses import dataclass
from pathlib import Path

from app.deadline import Deadline
from app.encoder.checkpoint import verify
from app.encoder.lazy import LazyEncoder
from app.storage.catalogue import Catalogue
from app.storage.database import Database, Transaction
from app.storage.jobs import Coverage, coverage
from app.storage.users import count_users

# Counting makes the database read the whole table; probes come every few seconds.
FRESH_S = 5.0


@dataclass(frozen=True)
class Counts:
    """Rows by state, and when they were counted (`time.monotonic()`)."""

    jobs: Coverage
    users: int
    at: float


@dataclass(frozen=True)
class Readiness:
    """The counts behind a ready service."""

    jobs: Coverage
    users: int
    model: str
    model_loaded: bool


class ReadinessCheck:
    """Asks the database and the schema each time; remembers counts for 5 seconds."""

    def __init__(
        self, database: Database, encoder: LazyEncoder, model_dir: Path
    ) -> None:
        self._database = database
        self._encoder = encoder
        self._model_dir = model_dir
        self._files_verified = False
        self._counts: Counts | None = None

    def __call__(self, deadline: Deadline) -> Readiness:
        """Raises the error that a request would meet now."""
        self._check_files()
        with self._database.snapshot(deadline) as transaction:
            Catalogue.read(transaction)
            counts = self._fresh_counts(transaction)
        return Readiness(
            jobs=counts.jobs,
            users=counts.users,
            model=self._encoder.version,
            model_loaded=self._encoder.loaded,
        )

    def _check_files(self) -> None:
        # Once: it reads 90 MB.
        if not self._files_verified and not self._encoder.loaded:
            verify(self._model_dir)
        self._files_verified = True

    def _fresh_counts(self, transaction: Transaction) -> Counts:
        counts = self._counts
        if counts is None or time.monotonic() - counts.at > FRESH_S:
            counts = Counts(
                jobs=coverage(transaction, version=self._encoder.version),
                users=count_users(transaction),
                at=time.monotonic(),
            )
            self._counts = counts
        return counts
