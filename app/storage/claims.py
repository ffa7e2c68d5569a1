"""Claims on rows to embed, and the storing of what came of them.

A claim is one row of `embedding_claim`: the rows of one batch, until it expires. It
outlives neither its batch nor, by more than its time, its worker. docs/embeddings.md
says why it is not a lock.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from psycopg2.sql import SQL, Composable, Composed

from app.query.ids import Id, IdColumn
from app.storage import backfill_queries as queries
from app.storage.codec import to_bytes
from app.storage.connection.transaction import NOTHING, Transaction
from app.storage.tables import EmbeddedTable
from app.storage.vectors import to_halfvec


@dataclass(frozen=True)
class TextRow:
    """A row and the text that its embedding is made from."""

    id: Id
    skills: str


@dataclass(frozen=True)
class Failure:
    """A row in quarantine: why, and since when."""

    row_id: str
    reason: str
    failed_at: datetime


@dataclass(frozen=True)
class Stored:
    """Ids, as text: rows that carry their embedding now, and rows that held the very
    text, were free, and did not keep it. Rows edited or locked are in neither.
    """

    ids: frozenset[str] = frozenset()
    not_persisted: frozenset[str] = frozenset()

    def __or__(self, other: "Stored") -> "Stored":
        return Stored(self.ids | other.ids, self.not_persisted | other.not_persisted)


@dataclass(frozen=True)
class Claims:
    """Statements about claims on one table, for the embeddings of one model."""

    table: EmbeddedTable
    id_column: IdColumn
    version: str
    lease_s: float
    # Whether the table has the column that migrations/pgvector adds.
    has_vectors: bool = False

    def take(
        self,
        transaction: Transaction,
        claim: uuid.UUID,
        *,
        after: Id | None,
        limit: int,
    ) -> list[TextRow]:
        """Claim the next rows beyond `after`, in the order of their ids.

        No row that is claimed, in quarantine, or locked by an editor. Without such
        rows it writes nothing.
        """
        transaction.rows(queries.ONE_AT_A_TIME)
        transaction.execute(queries.DROP_EXPIRED)
        beyond = (
            queries.FROM_THE_START if after is None else self._format(queries.AFTER)
        )
        rows = transaction.rows(
            self._format(queries.CLAIM, after=beyond),
            {
                "after": after,
                "limit": limit,
                "claim": str(claim),
                "lease_s": self.lease_s,
            },
        )
        return [TextRow(*row) for row in rows]

    def any_unembedded(self, transaction: Transaction) -> bool:
        """Whether a row waits; an index answers. Rows in quarantine count too."""
        query = self._format(queries.ANY_UNEMBEDDED)
        return bool(transaction.rows(query)[0][0])

    def renew(self, transaction: Transaction, claim: uuid.UUID) -> bool:
        """Whether the claim was still there, and now lasts its full time again."""
        parameters = {"claim": str(claim), "lease_s": self.lease_s}
        return transaction.execute(queries.RENEW, parameters) == 1

    def release(self, transaction: Transaction, claim: uuid.UUID) -> None:
        """Give the rows back."""
        transaction.execute(queries.RELEASE, {"claim": str(claim)})

    def any_claimed(self, transaction: Transaction) -> bool:
        """Whether rows are in anybody's hands, or were in those of a dead worker."""
        return bool(transaction.rows(self._format(queries.ANY_CLAIMED))[0][0])

    def store(
        self,
        transaction: Transaction,
        claim: uuid.UUID,
        rows: Sequence[TextRow],
        embeddings: NDArray[np.float32],  # (n, 384)
    ) -> Stored | None:
        """Store embeddings where the row still holds the text they were made from.

        None when the claim was lost: then nothing is stored. A row that somebody has
        locked is passed over.
        """
        extra = dict.fromkeys(queries.STORED_VECTORS, NOTHING)
        if self.has_vectors:
            extra = queries.STORED_VECTORS
        query = self._format(queries.STORE, hold=queries.HOLD, **extra)
        parameters: dict[str, object] = {
            "claim": str(claim),
            "ids": [row.id for row in rows],
            "texts": [row.skills for row in rows],
            "embeddings": [to_bytes(embedding) for embedding in embeddings],
            "version": self.version,
            "vectors": to_halfvec(embeddings) if self.has_vectors else None,
        }
        held, stored, not_persisted = transaction.rows(query, parameters)[0]
        return Stored(frozenset(stored), frozenset(not_persisted)) if held else None

    def add_failure(self, transaction: Transaction, row: TextRow, reason: str) -> None:
        """Put a row into quarantine, with the digest of the text that failed."""
        parameters: dict[str, object] = {
            "id": row.id,
            "text": row.skills,
            "reason": reason,
        }
        transaction.execute(self._format(queries.ADD_FAILURE), parameters)

    def failures(self, transaction: Transaction) -> list[Failure]:
        """The rows in quarantine, by id."""
        return [
            Failure(*row) for row in transaction.rows(self._format(queries.FAILURES))
        ]

    def forget_failures(self, transaction: Transaction) -> int:
        """Let all rows out of quarantine."""
        return transaction.execute(self._format(queries.FORGET_FAILURES))

    def _format(self, query: SQL, **parts: Composable) -> Composed:
        return self.table.format(
            query, version=self.version, id_column=self.id_column, **parts
        )
