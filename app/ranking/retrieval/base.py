"""The protocol of retrieval backends."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.batching.batcher import BatchScope
from app.query.ids import Id
from app.query.query import BatchKey, Query
from app.query.result import Volume
from app.ranking.top_k.factors import RowFactors
from app.ranking.top_k.heap import Scored
from app.storage.catalogue import Catalogue
from app.storage.connection.transaction import Transaction
from app.storage.copy.skill_ids import EntryChunk
from app.storage.skills import SkilledRow


@dataclass(frozen=True, eq=False)
class SearchRequest:
    """The queries of a batch, their vectors, and the factors of the jobs' scores.

    `entries`: the rows that match, if they were taken from a copy already.
    """

    key: BatchKey
    queries: Sequence[Query]
    vectors: NDArray[np.float32]  # (q, dimension)
    factors: RowFactors | None = None
    entries: "Entries | None" = None


@dataclass(frozen=True)
class SearchResult:
    """The best rows of each query, highest score first, ties by id.

    `analyzed`: the number of compared rows.
    """

    ranked: Sequence[Sequence[Scored]]
    analyzed: int
    volume: Volume


NOTHING_SEARCHED = SearchResult((), 0, Volume(rows=0, bytes=0))


class Retrieval(Protocol):
    """A retrieval backend. All pass the tests in tests/integration/retrieval/."""

    def search(
        self,
        transaction: Transaction,
        catalogue: Catalogue,
        request: SearchRequest,
        scope: BatchScope,
    ) -> SearchResult:
        """The `top_k` best rows of each query, within its constraints.

        Raises AbandonedError if all requests of the batch were cancelled.
        """
        ...


class Entries(Protocol):
    """The embeddings and skill ids of all jobs of one snapshot."""

    @property
    def volume(self) -> Volume:
        """What was read from the database for it."""
        ...

    def feed(
        self, consume: Callable[[EntryChunk], None], *, has_embeddings: bool
    ) -> None:
        """Pass all rows that a ranking compares: those with skill ids; or, with
        `has_embeddings`, those of `storage.skills.stream_entries`.
        """
        ...

    def rows(self, ids: Sequence[Id]) -> dict[Id, SkilledRow]:
        """The rows with these ids of all jobs, without their texts; none whose id
        another row has as well.
        """
        ...


class EntrySource(Protocol):
    """A copy of the jobs that the rankings by skills can read instead of a stream."""

    def look_ahead(self, transaction: Transaction, key: BatchKey) -> None:
        """Ask for changes with the transaction's next statement of rows, which saves a
        round trip.
        """
        ...

    def entries(
        self,
        transaction: Transaction,
        catalogue: Catalogue,
        key: BatchKey,
        scope: BatchScope,
    ) -> Entries | None:
        """The rows that the filters select; None if only the database has them.

        Raises AbandonedError if all requests of the batch were cancelled.
        """
        ...
