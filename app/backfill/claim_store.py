"""Claims rows and stores their results, in short transactions that are retried while
the database is away.
"""

import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from app.backfill.isolation import Encoded, RowFailure
from app.backfill.patience import (
    STATEMENT_TIMEOUT_S,
    Tried,
    retry_with_backoff,
    statement_deadline,
)
from app.deadline import Deadline
from app.errors import AppError, RowRejectedError
from app.query.ids import Id
from app.ranking.skills.parse import SPLIT_VERSION
from app.ranking.skills.splitting import split_texts
from app.storage.catalogue import Catalogue
from app.storage.claims import Claims, Failure, Made, Stored, TextRow
from app.storage.connection.database import Database
from app.storage.connection.transaction import Transaction
from app.storage.coverage import Coverage, any_waiting, count_waiting, coverage
from app.storage.entity import EntityName
from app.storage.resplit import SplitState, any_due, note_rows, split_state
from app.storage.skills import known_skills, lock_vocabulary

# What must not keep a process from ending.
PARTING_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class SplitTexts:
    """By row, the keys of its skills, and how the texts were split."""

    keys: Mapping[TextRow, Sequence[str]]
    state: SplitState


# Of a model beside the one in use: skills are split for that one.
NO_SPLIT = SplitTexts({}, SplitState(0, 0))


@dataclass(frozen=True)
class Batch:
    """Rows in one's hands, until the claim expires or is released."""

    claim: uuid.UUID
    rows: Sequence[TextRow]


@dataclass(frozen=True)
class StoreResult:
    """What became of a batch's rows, and those refused."""

    stored: Stored
    refusals: Sequence[RowFailure]


class ClaimStore:
    """Claims rows of one table for the embeddings of one model."""

    def __init__(
        self,
        database: Database,
        entity: EntityName,
        *,
        version: str,
        lease_s: float,
        patience_s: float,
        stop: threading.Event,
        beside: bool = False,
    ) -> None:
        """`beside`: the model is not the one in use."""
        self._beside = beside
        self._database = database
        self._entity = entity
        self._version = version
        self._lease_s = lease_s
        self._patience_s = patience_s
        self._stop = stop

    def coverage(self) -> Coverage:
        """The rows by state, or the error that the database has now."""
        with self._database.snapshot(statement_deadline()) as transaction:
            table = Catalogue.read(transaction).entity(self._entity)
            return coverage(transaction, table)

    def waiting(self) -> int:
        """How many rows wait, or the error that the database has now."""
        with self._database.snapshot(statement_deadline()) as transaction:
            table = Catalogue.read(transaction).entity(self._entity)
            return count_waiting(transaction, table)

    def any_waiting(self) -> bool:
        """Whether a row waits; a few buffers are read."""
        with self._database.snapshot(statement_deadline()) as transaction:
            return any_waiting(transaction, self._entity)

    def any_outdated(self) -> bool:
        """Whether rows are to be split again; a few buffers are read."""
        with self._database.snapshot(statement_deadline()) as transaction:
            return any_due(transaction, self._entity, SPLIT_VERSION)

    def take(self, *, after: Id | None, limit: int) -> Batch | None:
        """Claim rows beyond `after`, in the order of their ids.

        Noted rows get their states some thousand at a time, and blank texts none that
        waits: None only when no noted row is left.
        """

        # A new claim each time: should the answer to a COMMIT get lost, the rows of
        # the old one come free when it expires.
        def take(transaction: Transaction, claims: Claims) -> tuple[Batch, int]:
            claim = uuid.uuid4()
            taken = claims.take(transaction, claim, after=after, limit=limit)
            return Batch(claim, taken.rows), taken.admitted

        while True:
            batch, admitted = self.transact(take)
            if batch.rows:
                return batch
            if not admitted or self._stop.is_set():
                return None

    def others_hold_rows(self) -> bool:
        """Whether living workers, or workers not dead for long, have rows claimed."""
        return self.transact(lambda tx, claims: claims.any_claimed(tx))

    def renew(self, batch: Batch) -> bool:
        """False when the claim was lost to another worker."""
        return self.transact(lambda tx, claims: claims.renew(tx, batch.claim))

    def give_back(self, batch: Batch) -> None:
        """Release the claim if that can be done at once; else it expires."""
        with suppress(AppError):
            self._write(
                lambda tx, claims: claims.release(tx, batch.claim), PARTING_TIMEOUT_S
            )

    def split(self, rows: Sequence[TextRow]) -> SplitTexts:
        """The skills of the rows' texts and titles, by the team's synonyms, too."""

        def split(transaction: Transaction, _: Claims) -> SplitTexts:
            state = split_state(transaction)
            found = split_texts(
                transaction,
                [row.skills for row in rows],
                titles=[row.title for row in rows],
            )
            keys = [[skill.key for skill in skills] for skills in found]
            return SplitTexts(dict(zip(rows, keys, strict=True)), state)

        return self.transact(split)

    def store(
        self, batch: Batch, encoded: Encoded, split: SplitTexts
    ) -> StoreResult | None:
        """Store what was encoded with the ids of the rows' skills, note what was
        refused, and release the claim, in one transaction. None when the claim was
        lost: then nothing is stored.
        """

        def store(transaction: Transaction, claims: Claims) -> StoreResult | None:
            if not claims.hold(transaction, batch.claim):
                return None
            stored = self._put(transaction, claims, encoded, split)
            for refusal in encoded.refusals:
                claims.add_failure(transaction, refusal.row, refusal.reason)
            claims.release(transaction, batch.claim)
            return StoreResult(stored, encoded.refusals)

        try:
            return self.transact(store)
        except RowRejectedError:
            return self._store_each(batch, encoded, split)

    def quarantine(self, refusal: RowFailure) -> None:
        """Pass a row over until its text changes or somebody retries it."""
        self.transact(
            lambda tx, claims: claims.add_failure(tx, refusal.row, refusal.reason)
        )

    def failures(self) -> list[Failure]:
        """The rows in quarantine."""
        return self.transact(lambda tx, claims: claims.failures(tx))

    def forget_failures(self) -> int:
        """Let all rows out of quarantine: how many they were."""
        return self.transact(lambda tx, claims: claims.forget_failures(tx))

    def _put(
        self,
        transaction: Transaction,
        claims: Claims,
        encoded: Encoded,
        split: SplitTexts,
    ) -> Stored:
        if self._beside:
            made = zip(encoded.rows, encoded.embeddings, strict=True)
            return claims.store(
                transaction, [Made(row, one, None) for row, one in made]
            )
        # Nobody removes a skill, or switches the model, between the look-up and the
        # commit.
        state = lock_vocabulary(transaction)
        stored = claims.store(transaction, self._made(transaction, encoded, split.keys))
        if state != split.state or state.version not in (0, SPLIT_VERSION):
            # A worker of the version in use splits them again, should there be one.
            note_rows(transaction, claims.table, sorted(stored.ids))
        return stored

    def _made(
        self,
        transaction: Transaction,
        encoded: Encoded,
        keys: Mapping[TextRow, Sequence[str]],
    ) -> list[Made]:
        """With the ids of skills, where the vocabulary has them all: without, a row
        keeps waiting for them.
        """
        wanted = {key for row in encoded.rows for key in keys[row]}
        ids = known_skills(transaction, list(wanted), version=self._version)
        return [
            Made(
                row,
                embedding,
                [ids[key] for key in keys[row]]
                if all(key in ids for key in keys[row])
                else None,
            )
            for row, embedding in zip(encoded.rows, encoded.embeddings, strict=True)
        ]

    def _store_each(
        self, batch: Batch, encoded: Encoded, split: SplitTexts
    ) -> StoreResult | None:
        """The database refused a row: find out which, one transaction a row."""
        stored = Stored()
        refusals = list(encoded.refusals)
        for row, vector in zip(encoded.rows, encoded.embeddings, strict=True):
            try:
                one = self._store_one(batch, Encoded([row], [vector]), split)
            except RowRejectedError as error:
                refusals.append(RowFailure(row, str(error)))
                continue
            if one is None:
                return None
            stored |= one
        rest = self.store(batch, Encoded(refusals=refusals), split)
        return rest and replace(rest, stored=stored)

    def _store_one(
        self, batch: Batch, encoded: Encoded, split: SplitTexts
    ) -> Stored | None:
        def store(transaction: Transaction, claims: Claims) -> Stored | None:
            if not claims.hold(transaction, batch.claim):
                return None
            return self._put(transaction, claims, encoded, split)

        return self.transact(store)

    def transact(self, action: Callable[[Transaction, Claims], Tried]) -> Tried:
        """Run one transaction; again while the database is away."""
        return retry_with_backoff(
            lambda: self._write(action, STATEMENT_TIMEOUT_S),
            stop=self._stop,
            patience_s=self._patience_s,
        )

    def _write(
        self, action: Callable[[Transaction, Claims], Tried], timeout_s: float
    ) -> Tried:
        with self._database.write(Deadline.after(timeout_s)) as transaction:
            table = Catalogue.read(transaction).entity(self._entity)
            return action(
                transaction, Claims(table, self._version, self._lease_s, self._beside)
            )
