"""Whether the service can answer, and how many rows are in which state."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.deadline import Deadline
from app.encoder.lazy import LazyEncoder
from app.errors import DeadlineExceededError
from app.ops.row_counts import Counts, RowCounts
from app.storage.catalogue import Catalogue, check_served
from app.storage.connection.database import Database

Found = TypeVar("Found")


@dataclass(frozen=True)
class Tables:
    """JOBS_TABLE and USERS_TABLE, empty where they are not set."""

    jobs: str = ""
    users: str = ""


@dataclass(frozen=True)
class Readiness:
    """A service that can answer, and the last known counts of its rows."""

    counts: Counts | None
    model: str
    model_loaded: bool


class ReadinessCheck:
    """Asks the database and the schema each time, and counts nothing."""

    def __init__(
        self,
        database: Database,
        encoder: LazyEncoder,
        *,
        job_columns: Sequence[str] = (),
        needs_vectors: bool = False,
        tables: Tables = Tables(),
    ) -> None:
        """`job_columns`: the names of JOB_COLUMNS; `needs_vectors`: for pgvector."""
        self._tables = tables
        self._needs_vectors = needs_vectors
        self._database = database
        self._encoder = encoder
        self._job_columns = job_columns
        self._files_verified = False
        self._counts = RowCounts(database)

    def __call__(self, deadline: Deadline) -> Readiness:
        """Raises the error that a request would meet now."""
        self._check_files()
        with self._database.snapshot(deadline) as transaction:
            catalogue = Catalogue.read(transaction, job_columns=self._job_columns)
            if self._needs_vectors:
                catalogue.require_vectors()
            check_served(
                transaction,
                jobs_table=self._tables.jobs,
                users_table=self._tables.users,
            )
        return Readiness(
            counts=self._counts(),
            model=self._encoder.version,
            model_loaded=self._encoder.loaded,
        )

    def _check_files(self) -> None:
        # Once: it reads 90 MB, or what another model has.
        if not self._files_verified and not self._encoder.loaded:
            self._encoder.verify_files()
        self._files_verified = True


class SingleFlight(Generic[Found]):
    """A check for the event loop: one at a time, for all who ask meanwhile.

    A database that is a black hole holds one thread, however many probes come.
    """

    def __init__(
        self,
        check: Callable[[Deadline], Found],
        *,
        timeout_s: float,
        on_checked: Callable[[Found | None], None] = lambda _: None,
    ) -> None:
        """`on_checked` is told of each result, None for a failure."""
        self._check = check
        self._timeout_s = timeout_s
        self._on_checked = on_checked
        self._running: asyncio.Task[Found] | None = None
        self._last: tuple[float, Found] | None = None

    async def __call__(self, *, at_most_age_s: float = 0.0) -> Found:
        """Raises as the check does, and DeadlineExceededError when it takes long."""
        if self._last and time.monotonic() - self._last[0] < at_most_age_s:
            return self._last[1]
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        try:
            async with asyncio.timeout(self._timeout_s):
                # A caller that leaves must not take the check from the others.
                return await asyncio.shield(self._running)
        except TimeoutError:
            raise DeadlineExceededError(
                f"The database did not answer in {self._timeout_s:g} seconds."
            ) from None

    async def _run(self) -> Found:
        found: Found | None = None
        try:
            deadline = Deadline.after(self._timeout_s)
            found = await asyncio.to_thread(self._check, deadline)
            self._last = (time.monotonic(), found)
            return found
        finally:
            self._running = None
            self._on_checked(found)


SharedReadiness = SingleFlight[Readiness]
