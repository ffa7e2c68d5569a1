"""The one thing that a retrieval backend does: the best rows of each query."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.batching.batcher import BatchScope
from app.query.ids import Id
from app.query.query import BatchKey, Query
from app.query.result import Volume
from app.ranking.top_k.heap import Scored
from app.storage.catalogue import Catalogue
from app.storage.connection.transaction import Transaction
from app.storage.jobs import Job


@dataclass(frozen=True, eq=False)
class SearchRequest:
    """The queries of a batch, and a vector for each."""

    key: BatchKey
    queries: Sequence[Query]
    vectors: NDArray[np.float32]  # (q, dimension)

    def of(self, places: Sequence[int]) -> "SearchRequest":
        """The same for some of the queries."""
        return SearchRequest(
            self.key, [self.queries[n] for n in places], self.vectors[list(places)]
        )


@dataclass(frozen=True)
class SearchResult:
    """The best rows of each query, highest score first, equal ones by id.

    `analyzed`: how many were compared. `inconclusive`: places of the shallow queries
    that need a deeper search; nothing else is known of them. `jobs`: texts of the
    ranked jobs, as far as they came along.
    """

    ranked: Sequence[Sequence[Scored]]
    analyzed: int
    volume: Volume
    inconclusive: Collection[int] = ()
    jobs: Mapping[Id, Job] = field(default_factory=dict)


NOTHING_SEARCHED = SearchResult((), 0, Volume(rows=0, bytes=0))


class Retrieval(Protocol):
    """A backend. All of them give the same answers."""

    def search(
        self,
        transaction: Transaction,
        catalogue: Catalogue,
        request: SearchRequest,
        scope: BatchScope,
        *,
        with_texts: bool = False,
    ) -> SearchResult:
        """The `top_k` best rows for each query, within its constraints.

        `with_texts`: with `jobs`, where these can come along; the transaction may be
        committed then, if no others are missing. Raises AbandonedError once nobody
        waits.
        """
        ...
