"""Claims on rows to embed and to split, and the storing of their results.

A claim is one row of `recommender.claim`: the rows of one batch, until it expires. It
ends with its batch, or by its expiry if its worker dies. docs/embeddings.md says why it
is not a lock.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from psycopg2.sql import SQL, Composable, Identifier, Literal

from app.query.ids import Id
from app.storage.codec import int32_to_bytes, to_bytes
from app.storage.connection.transaction import NOTHING, Transaction
from app.storage.entity import UNNAMED_VERSION, EntityTable
from app.storage.sql import load

QUERIES = load("claims")

# A text that was embedded so often and never stored, though nobody changed it.
MOST_TRIES = 3
# One that was stored so often within the time below, and waits again: something takes
# away what is stored.
MOST_STORES = 8
TRIES_LAST = SQL("interval '1 hour'")

OWN_EMBEDDING = SQL(
    ", embedding = coalesce(free.embedding, s.embedding), embedding_version = {}"
)

# Noted rows that get a state before a claim: some 0.3 s.
ADMITTED_ROWS = 5_000


@dataclass(frozen=True)
class TextRow:
    """A row and the text that its embedding and its skills are made from; a title is
    one more skill.
    """

    id: Id
    skills: str
    title: str | None = None
    # Whether it has a sound embedding: then only its skills are to be split.
    is_embedded: bool = False
    # Whether it was stored MOST_STORES times lately, and waits again.
    is_tried: bool = False


@dataclass(frozen=True)
class Taken:
    """The rows of a new claim, and how many noted rows got a state before: then more
    may be noted, though no row waits yet.
    """

    rows: Sequence[TextRow]
    admitted: int


@dataclass(frozen=True)
class Made:
    """What was made of a row: `embedding` (dimension,), None where it has one;
    `skill_ids`, None where they could not be found out.
    """

    row: TextRow
    embedding: NDArray[np.float32] | None
    skill_ids: Sequence[int] | None


@dataclass(frozen=True)
class Failure:
    """A row in quarantine: why, and since when."""

    row_id: str
    reason: str
    failed_at: datetime


@dataclass(frozen=True)
class Stored:
    """Ids, as text: rows that carry what was made now, and rows that held the very
    text, were free, and did not keep it. Rows edited or locked are in neither.
    """

    ids: frozenset[str] = frozenset()
    not_persisted: frozenset[str] = frozenset()

    def __or__(self, other: "Stored") -> "Stored":
        return Stored(self.ids | other.ids, self.not_persisted | other.not_persisted)


@dataclass(frozen=True)
class Claims:
    """Statements about claims on one table, for the embeddings of one model.

    `beside`: the model is not the one in use, and the states of rows are left alone.
    """

    table: EntityTable
    version: str
    lease_s: float
    beside: bool = False

    def take(
        self,
        transaction: Transaction,
        claim: uuid.UUID,
        *,
        after: Id | None,
        limit: int,
    ) -> Taken:
        """Claim the next rows beyond `after`, in the order of their ids.

        No row that is claimed, in quarantine, or locked by an editor. Without such
        rows it writes nothing.
        """
        transaction.rows(QUERIES["one_at_a_time"])
        transaction.execute(QUERIES["drop_expired"])
        admit = self._format("admit")
        ((admitted,),) = transaction.rows(admit, {"most": ADMITTED_ROWS})
        beyond: Composable = SQL("true")
        if after is not None:
            beyond = SQL("s.{} > {}::{}").format(
                Identifier(self.table.key),
                Literal(after),
                SQL(self.table.id_column.cast),
            )
        query = self._format(
            "take_beside" if self.beside else "take",
            after=beyond,
            # The row of a user is only read; other servers would not skip a locked one.
            locked=SQL("t, s" if self._locks_rows else "s"),
            most_stores=Literal(MOST_STORES),
            tries_last=TRIES_LAST,
            is_in_use=self._part("is_in_use"),
            is_missing=self._part("is_missing"),
        )
        parameters: dict[str, object] = {
            "limit": limit,
            "claim": str(claim),
            "lease_s": self.lease_s,
        }
        rows = transaction.rows(query, parameters)
        return Taken([TextRow(*row) for row in rows], admitted)

    def renew(self, transaction: Transaction, claim: uuid.UUID) -> bool:
        """Whether the claim was still there, and now lasts its full time again."""
        parameters = {"claim": str(claim), "lease_s": self.lease_s}
        return transaction.execute(QUERIES["renew"], parameters) == 1

    def release(self, transaction: Transaction, claim: uuid.UUID) -> None:
        """Give the rows back."""
        transaction.execute(QUERIES["release"], {"claim": str(claim)})

    def any_claimed(self, transaction: Transaction) -> bool:
        """Whether rows are in anybody's hands, or were in those of a dead worker."""
        return bool(transaction.rows(self._format("any_claimed"))[0][0])

    def count_missing(self, transaction: Transaction) -> int:
        """How many rows this model has not embedded. Reads the table."""
        query = self._format("count_missing", is_missing=self._part("is_missing"))
        count: int = transaction.rows(query)[0][0]
        return count

    def hold(self, transaction: Transaction, claim: uuid.UUID) -> bool:
        """Whether the claim is still there; then nobody takes it before the end of the
        transaction.
        """
        return transaction.execute(QUERIES["hold"], {"claim": str(claim)}) == 1

    def store(self, transaction: Transaction, made: Sequence[Made]) -> Stored:
        """Store what was made where the row still holds the text and the title it was
        made from. A row that somebody has locked is passed over.
        """
        if not made:
            return Stored()
        rows = [one.row for one in made]
        parameters: dict[str, object] = {
            "ids": [row.id for row in rows],
            "texts": [row.skills for row in rows],
            "titles": [row.title for row in rows],
            "embeddings": [
                None if one.embedding is None else to_bytes(one.embedding)
                for one in made
            ],
            "skill_ids": [
                None if one.skill_ids is None else int32_to_bytes(one.skill_ids)
                for one in made
            ],
            "version": self.version,
            "locked": self._lock_states(transaction, rows),
        }
        stored, not_persisted = transaction.rows(self._store(), parameters)[0]
        if not self.beside:
            transaction.execute(self._format("forgive"), {"ids": stored})
        return Stored(frozenset(stored), frozenset(not_persisted))

    def add_failure(self, transaction: Transaction, row: TextRow, reason: str) -> None:
        """Put a row into quarantine, unless its text is another one by now."""
        if self.beside:
            return
        parameters: dict[str, object] = {
            "id": row.id,
            "text": row.skills,
            "reason": reason,
            "locked": self._lock_states(transaction, [row]),
        }
        transaction.execute(self._format("add_failure"), parameters)

    def failures(self, transaction: Transaction) -> list[Failure]:
        """The rows in quarantine, by id."""
        return [Failure(*row) for row in transaction.rows(self._format("failures"))]

    def forget_failures(self, transaction: Transaction) -> int:
        """Let all rows out of quarantine."""
        return transaction.execute(self._format("forget_failures"))

    def _lock_states(
        self, transaction: Transaction, rows: Sequence[TextRow]
    ) -> list[str]:
        ids: dict[str, object] = {"ids": [row.id for row in rows]}
        return [id_ for (id_,) in transaction.rows(self._format("lock_states"), ids)]

    def _store(self) -> Composable:
        name, in_column = self.table.name, self.version == UNNAMED_VERSION
        write = f"write_{name}_in_column" if in_column else "write_in_table"
        own: Composable = NOTHING
        if name == "users" and in_column and not self.beside:
            write, own = "write_nothing", OWN_EMBEDDING.format(Literal(self.version))
        return self._format(
            "store_beside" if self.beside else f"store_{name}",
            tries_last=TRIES_LAST,
            is_in_use=self._part("is_in_use"),
            free=self._part("free_shards" if self.table.is_sharded else f"free_{name}"),
            write=self._part(write),
            own=own,
        )

    @property
    def _locks_rows(self) -> bool:
        return self.table.name == "jobs" and not self.table.is_sharded

    def _part(self, query: str) -> Composable:
        return self.table.format(QUERIES[query], version=self.version)

    def _format(self, query: str, **parts: Composable) -> Composable:
        if self.beside:
            # Claims of its own: the rows may be claimed for the model in use as well.
            parts["entity"] = Literal(f"{self.table.name} {self.version}")
        return self.table.format(QUERIES[query], version=self.version, **parts)
