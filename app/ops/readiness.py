"""Readiness checks, and counts of rows by state."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.deadline import Deadline
from app.encoder.current import CurrentModel
from app.encoder.lazy import LazyEncoder
from app.errors import DeadlineExceededError
from app.ops.row_counts import Counts, RowCounts
from app.storage.catalogue import THE_GUIDES, Catalogue, ServedTables, check_served
from app.storage.connection.database import Database
from app.storage.models import model_in_use

Checked = TypeVar("Checked")


@dataclass(frozen=True)
class Readiness:
    """The result of a passed check, with the last known counts of rows."""

    counts: Counts | None
    model: str
    model_loaded: bool


class ReadinessCheck:
    """Checks the database, the schema and the model. It counts no rows itself."""

    def __init__(
        self,
        database: Database,
        model: CurrentModel,
        *,
        job_columns: Sequence[str] = (),
        needs_vectors: bool = False,
        tables: ServedTables = THE_GUIDES,
    ) -> None:
        """`job_columns`: the names in JOB_COLUMNS. `needs_vectors`: with pgvector."""
        self._tables = tables
        self._needs_vectors = needs_vectors
        self._database = database
        self._model = model
        self._job_columns = job_columns
        self._verified: set[str] = set()
        self._counts = RowCounts(database)

    def __call__(self, deadline: Deadline) -> Readiness:
        """Raises the error that a request would raise now."""
        with self._database.snapshot(deadline) as transaction:
            catalogue = Catalogue.read(transaction, job_columns=self._job_columns)
            if self._needs_vectors:
                catalogue.require_vectors()
            check_served(transaction, self._tables)
            version = model_in_use(transaction)
        encoder = self._model.of(version or self._model.current.version)
        self._check_files(encoder)
        return Readiness(
            counts=self._counts(),
            model=encoder.version,
            model_loaded=encoder.loaded,
        )

    def _check_files(self, encoder: LazyEncoder) -> None:
        # Only once: it reads the model's files, 90 MB of MiniLM.
        if encoder.version not in self._verified and not encoder.loaded:
            encoder.verify_files()
        self._verified.add(encoder.version)


class SingleFlight(Generic[Checked]):
    """Runs a check once for all concurrent callers on the event loop.

    An unresponsive database thus blocks one thread, not one per probe.
    """

    def __init__(
        self,
        check: Callable[[Deadline], Checked],
        *,
        timeout_s: float,
        on_checked: Callable[[Checked | None], None] = lambda _: None,
    ) -> None:
        """`on_checked` is called with each result, and with None after a failure."""
        self._check = check
        self._timeout_s = timeout_s
        self._on_checked = on_checked
        self._running: asyncio.Task[Checked] | None = None
        self._last: tuple[float, Checked] | None = None

    async def __call__(self, *, at_most_age_s: float = 0.0) -> Checked:
        """Run the check, or return a result of at most this age.

        Raises as the check does, and DeadlineExceededError after `timeout_s`.
        """
        if self._last and time.monotonic() - self._last[0] < at_most_age_s:
            return self._last[1]
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        try:
            async with asyncio.timeout(self._timeout_s):
                # A cancelled caller must not cancel the check of the others.
                return await asyncio.shield(self._running)
        except TimeoutError:
            raise DeadlineExceededError(
                f"The database did not answer in {self._timeout_s:g} s."
            ) from None

    async def _run(self) -> Checked:
        result: Checked | None = None
        try:
            deadline = Deadline.after(self._timeout_s)
            result = await asyncio.to_thread(self._check, deadline)
            self._last = (time.monotonic(), result)
            return result
        finally:
            self._running = None
            self._on_checked(result)


SharedReadiness = SingleFlight[Readiness]
