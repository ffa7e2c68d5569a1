"""Share a backfill among the workers of a Dask cluster.

Claims already divide the rows among any number of workers, so a task names no rows: it
runs the ordinary worker for some batches. The number of tasks follows the number of
workers, and a task that runs again after a kill embeds nothing twice.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

from app.backfill import Backfill, Progress
from app.commands.cluster import Cluster
from app.commands.cluster_worker import EmbedTask, Origin, embed
from app.storage.connection.database import Database

# Some five seconds of MiniLM: seldom enough for a new connection, and often enough for
# a progress bar.
BATCHES_PER_TASK = 4


@dataclass(frozen=True)
class SharedBackfill:
    """The options of `embed` for the workers of `cluster`."""

    cluster: Cluster
    database: Database
    encoder: str
    device: str | None
    batch_size: int
    lease_s: float
    stop: threading.Event

    def run(self, backfill: Backfill, limit: int | None) -> Iterator[Progress]:
        """Embed what `backfill` would, at most `limit` rows, one task after another.

        At the end this process embeds what is left: the rows that a dead worker had
        claimed.
        """
        waiting = backfill.remaining()
        total = Progress()
        for done in self._tasks_done(backfill, limit):
            total += done
            yield done
        # The task of a dead worker counts only the rows of its second run.
        unseen = waiting - backfill.remaining() - total.settled
        yield Progress(embedded=max(0, unseen))
        yield from backfill.run(limit=None if limit is None else limit - total.seen)

    def _tasks_done(self, backfill: Backfill, limit: int | None) -> Iterator[Progress]:
        most = BATCHES_PER_TASK * self.batch_size
        no_row_is_free = threading.Event()

        def tasks() -> Iterator[EmbedTask]:
            origin, left = Origin.of(self.database), limit
            while not (self.stop.is_set() or no_row_is_free.is_set() or left == 0):
                rows = most if left is None else min(most, left)
                left = None if left is None else left - rows
                yield self._task(backfill, origin, rows)

        for done in self.cluster.in_order(embed, tasks()):
            if done.seen < most:
                no_row_is_free.set()
            yield done

    def _task(self, backfill: Backfill, origin: Origin, rows: int) -> EmbedTask:
        return EmbedTask(
            origin,
            backfill.version,
            backfill.entity,
            encoder=self.encoder,
            device=self.device,
            batch_size=self.batch_size,
            lease_s=self.lease_s,
            rows=rows,
        )
