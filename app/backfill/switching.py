"""Embeds all rows by another model beside the one in use, and switches to it.

Any number of processes may do it together, and a new one continues where one was
killed: each searches for rows without an embedding of the new model. An edit deletes
the embeddings of both models.
"""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from app.backfill.patience import retry_with_backoff
from app.backfill.vectors import VectorFilling
from app.backfill.vocabulary import VocabularyKeeper
from app.backfill.worker import LEASE_S, PATIENCE_S, Backfill
from app.deadline import Deadline
from app.encoder.passages import PassageEncoder, PromptedEncoder
from app.storage import models
from app.storage.connection.database import Database
from app.storage.connection.transaction import Transaction
from app.storage.entity import ENTITIES, EntityTable

Written = TypeVar("Written")

SWITCH_TIMEOUT_S = 300.0
# How often it looks whether rows that others had claimed came free.
CLAIMS_POLL_S = 0.25
# Rows whose old embedding is dropped in one transaction.
DROPPED_ROWS = 1000


class ModelSwitch:
    """The switch of a database to the model of `encoder`."""

    def __init__(
        self,
        database: Database,
        encoder: PromptedEncoder,
        *,
        batch_size: int,
        slice_rows: int,
        stop: threading.Event,
        lease_s: float = LEASE_S,
    ) -> None:
        self._database = database
        self._encoder = encoder
        self._batch_size = batch_size
        self._stop = stop
        # Where migrations/pgvector was applied.
        self.vectors = VectorFilling(
            database, version=encoder.version, beside=True, stop=stop
        )
        self._vocabulary = VocabularyKeeper(
            database, encoder, patience_s=PATIENCE_S, stop=stop
        )
        self._backfills = [
            Backfill(
                database,
                PassageEncoder(encoder) if entity == "jobs" else encoder,
                batch_size=batch_size,
                entity=entity,
                vocabulary=self._vocabulary,
                beside=True,
                slice_rows=slice_rows,
                lease_s=lease_s,
                stop=stop,
            )
            for entity in ENTITIES
        ]

    def begin(self) -> None:
        """Register the model. Raises ConfigError if its name is another model's."""
        model = self._encoder
        self._write(lambda tx: models.add_model(tx, model.version, model.dimension))

    def missing(self) -> int:
        """Skills and rows that this model has not embedded. Reads the tables."""
        rows = sum(backfill.missing() for backfill in self._backfills)
        return rows + self._vocabulary.count_stale()

    def fill(self) -> Iterator[int]:
        """Embed them: how many, batch after batch.

        Ends when few are left, which were edited just now or cannot be embedded, or
        with `stop`.
        """
        while not self._stop.is_set():
            # Asked before the pass too: it passes over rows whose claim then ends.
            held = self._others_hold_rows()
            done = 0
            for count in self._pass():
                done += count
                yield count
            if done > self._batch_size:
                continue
            if not held and not self._others_hold_rows():
                return
            self._stop.wait(CLAIMS_POLL_S)

    def switch(self) -> None:
        """Let every process answer by this model, from one commit on."""
        self._write(lambda tx: models.switch_model(tx, self._encoder.version))

    def settle(self) -> None:
        """Find rows that somebody wrote while `switch` ran."""
        self._write(models.compare_states)

    def _others_hold_rows(self) -> bool:
        return any(backfill.others_hold_rows() for backfill in self._backfills)

    def _pass(self) -> Iterator[int]:
        yield from self._vocabulary.embed_stale()
        for backfill in self._backfills:
            for done in backfill.run(wait_for_claims=False):
                yield done.embedded

    def _write(self, action: Callable[[Transaction], Written]) -> Written:
        return retry_with_backoff(
            lambda: written(self._database, action),
            stop=self._stop,
            patience_s=PATIENCE_S,
        )


def written(database: Database, action: Callable[[Transaction], Written]) -> Written:
    """Run one transaction."""
    with database.write(Deadline.after(SWITCH_TIMEOUT_S)) as transaction:
        return action(transaction)


def drop_old(
    database: Database, jobs: EntityTable, stop: threading.Event
) -> Iterator[int]:
    """Drop the embeddings of models that are not in use: how many, batch by batch."""
    _drop_vectors(database, stop)
    for relation in models.OTHER_EMBEDDINGS:
        drop = partial(models.drop_rows, relation=relation, limit=DROPPED_ROWS)
        while not stop.is_set() and (count := written(database, drop)):
            yield count
    for place in ((jobs.identifier, jobs.key), *models.OWN_COLUMNS_OF_GUIDE):
        yield from _drop_columns(database, place, stop)
    written(database, models.drop_models)


def _drop_vectors(database: Database, stop: threading.Event) -> None:
    """Drop tables of vectors after the running transactions have ended: a batch that
    began before the switch still reads them.
    """
    deadline = Deadline.after(SWITCH_TIMEOUT_S)
    before = written(database, models.running_transactions)
    while before and not stop.is_set() and deadline.remaining_s() > 0:
        stop.wait(CLAIMS_POLL_S)
        before &= written(database, models.running_transactions)
    if not stop.is_set():
        written(database, models.drop_vectors)


def _drop_columns(
    database: Database, place: models.Place, stop: threading.Event
) -> Iterator[int]:
    after: str | None = None
    while not stop.is_set():
        drop = partial(
            models.drop_columns, place=place, after=after, limit=DROPPED_ROWS
        )
        keys = written(database, drop)
        if not keys:
            return
        after = keys[-1]
        yield len(keys)
