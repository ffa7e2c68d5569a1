"""Makes the vectors of SEARCH_BACKEND=pgvector from embeddings that are stored."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from app.backfill.patience import retry_with_backoff, statement_deadline
from app.backfill.worker import PATIENCE_S
from app.query.ids import Id
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.connection.transaction import Transaction
from app.storage.vector_filling import (
    fill_vectors,
    has_vectors_in_use,
    vectorless_beside,
    vectorless_jobs,
)
from app.storage.vectors import VectorQuery

# A thousand rows take a quarter of a second; so long does an edit of one wait.
FILLED_ROWS = 1000


class VectorFilling:
    """Fills what is missing, batch after batch, each committed on its own."""

    def __init__(
        self,
        database: Database,
        *,
        version: str,
        stop: threading.Event,
        beside: bool = False,
        batch_rows: int = FILLED_ROWS,
        patience_s: float = PATIENCE_S,
        throttle: Callable[[float], None] = lambda _spent_s: None,
    ) -> None:
        """`beside`: of a model that is not in use. `throttle` is called after a batch
        with the seconds that it took.
        """
        self._beside = beside
        self._database = database
        self._version = version
        self._stop = stop
        self._batch_rows = batch_rows
        self._patience_s = patience_s
        self._throttle = throttle

    def waiting(self) -> int:
        """How many rows lack their vector; 0 where the migration was not applied."""
        with self._database.snapshot(statement_deadline()) as transaction:
            if self._beside:
                rows = self._rows(transaction)
                return 0 if rows is None else vectorless_beside(transaction, rows)
            if not has_vectors_in_use(transaction, self._version):
                return 0
            return vectorless_jobs(transaction)

    def run(self) -> Iterator[int]:
        """How many rows each batch filled, until none is left or it is stopped."""
        after: Id | None = None
        while not self._stop.is_set():
            start = time.monotonic()
            filled, after = retry_with_backoff(
                partial(self._fill, after),
                stop=self._stop,
                patience_s=self._patience_s,
            )
            if after is None:
                return
            self._throttle(time.monotonic() - start)
            yield filled

    def _fill(self, after: Id | None) -> tuple[int, Id | None]:
        with self._database.write(statement_deadline()) as transaction:
            rows = self._rows(transaction)
            if rows is None:
                return 0, None
            return fill_vectors(
                transaction,
                rows,
                after=after,
                limit=self._batch_rows,
                beside=self._beside,
            )

    def _rows(self, transaction: Transaction) -> VectorQuery | None:
        catalogue = Catalogue.read(transaction)
        if not catalogue.has_vectors(self._version):
            return None
        return VectorQuery.of(catalogue, self._version)
