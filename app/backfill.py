"""Fills the embeddings that are missing: pending rows -> encode -> compare-and-set.

It decides what is embedded and when it is written; scripts decide what is shown.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.deadline import Deadline
from app.encoder import Encoder
from app.storage import jobs
from app.storage.catalogue import Catalogue
from app.storage.database import Database
from app.storage.ids import Id

# For one statement of one batch; the encoding happens outside of transactions.
STATEMENT_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Progress:
    """One batch: rows that now carry an embedding, rows that changed meanwhile."""

    embedded: int
    changed: int


class Backfill:
    """Embeds rows of `skill_job1` that have no sound embedding of this model."""

    def __init__(
        self, database: Database, encoder: Encoder, *, batch_size: int
    ) -> None:
        self._database = database
        self._encoder = encoder
        self._batch_size = batch_size

    def remaining(self) -> int:
        """How many rows have a text but no sound embedding of this model."""
        with self._database.snapshot(_deadline()) as transaction:
            return jobs.count_unembedded(transaction, version=self._encoder.version)

    def run(self, *, limit: int | None = None) -> Iterator[Progress]:
        """Embed row after row in the order of `job_id`; at most `limit` rows.

        Each batch is committed on its own. A row whose text changes while it is
        embedded keeps its new text and stays pending.
        """
        after: Id | None = None
        left = limit
        while left is None or left > 0:
            size = self._batch_size if left is None else min(left, self._batch_size)
            batch = self._next(after, size)
            if not batch:
                return
            yield self._embed(batch)
            after = batch[-1].job_id
            left = None if left is None else left - len(batch)

    def _next(self, after: Id | None, size: int) -> Sequence[jobs.JobText]:
        with self._database.snapshot(_deadline()) as transaction:
            return jobs.next_unembedded(
                transaction,
                after=after,
                limit=size,
                version=self._encoder.version,
                job_id=Catalogue.read(transaction).job_id,
            )

    def _embed(self, batch: Sequence[jobs.JobText]) -> Progress:
        embeddings = self._encoder.encode([job.skills for job in batch])
        with self._database.write(_deadline()) as transaction:
            stored = jobs.store_embeddings(
                transaction,
                batch,
                embeddings,
                version=self._encoder.version,
                job_id=Catalogue.read(transaction).job_id,
            )
        return Progress(embedded=stored, changed=len(batch) - stored)


def _deadline() -> Deadline:
    return Deadline.after(STATEMENT_TIMEOUT_S)
