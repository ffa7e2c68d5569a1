"""Ranks inside the database, where migrations/pgvector was applied.

Vectors in half precision only choose candidates. These come with their stored
embeddings and are scored as a scan scores its rows, so that scores and ties are those
of the full scan; what an index can miss is a candidate. See docs/pgvector.md.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.batching.batcher import BatchScope
from app.query.constraints import Condition
from app.query.query import Question
from app.query.result import Volume
from app.ranking.retrieval.base import Found
from app.ranking.retrieval.full_scan import StreamSearch
from app.ranking.retrieval.index_search import IndexSearch
from app.ranking.retrieval.search_params import DEEP, EXACT, NEAR, SearchStep
from app.storage.catalogue import Catalogue
from app.storage.conditions import where_clause
from app.storage.connection.transaction import Transaction
from app.storage.vectors import CachedCounts, VectorQuery

# Up to so many rows the database compares all of them in a few milliseconds, and
# misses none.
EXACT_BELOW = 5_000
# So few among many: an index would be searched up to its limit, in vain.
FEW_MATCHES = 1_000


class PgvectorSearch:
    """A search into the index per question, all those of a pass in one statement."""

    def __init__(
        self, *, version: str, scan_chunk_rows: int, exact_below: int = EXACT_BELOW
    ) -> None:
        self._version = version
        self._stream = StreamSearch(version=version, scan_chunk_rows=scan_chunk_rows)
        self._exact_below = exact_below
        self._counts = CachedCounts()
        # Whether every row had a vector when that was last seen.
        self._is_complete = False

    def best(
        self,
        transaction: Transaction,
        catalogue: Catalogue,
        questions: Sequence[Question],
        queries: NDArray[np.float32],  # (q, 384)
        scope: BatchScope,
        *,
        shows: bool = False,
    ) -> Found:
        """As `Search.best`. Raises SchemaError where the migration is missing."""
        catalogue.require_vectors()
        if not questions:
            return Found((), 0, Volume(rows=0, bytes=0))
        filters = questions[0].constraints.filters
        rows = self._rows(catalogue, filters)
        count = self._counts(transaction, rows)
        search = IndexSearch(transaction, rows, questions, queries, scope, shows=shows)
        few = FEW_MATCHES if filters else self._exact_below
        is_quick = questions[0].shallow and count > few
        if is_quick and shows and self._is_complete:
            return self._at_one_look(search, count)
        for step in _ways(is_quick=is_quick, is_small=count <= few):
            search.go(step)
        search.read_vectorless()
        self._is_complete = not search.vectorless
        ranked = search.ranked()
        analyzed = count - search.unusable
        volume = Volume(search.rows_read, search.bytes_read)
        if search.open and not is_quick:
            # Hundreds of jobs tie at the last place, and all were asked for.
            rest = self._stream.best(
                transaction,
                catalogue,
                [questions[n] for n in search.open],
                queries[search.open],
                scope,
            )
            ranked |= zip(search.open, rest.ranked, strict=True)
            analyzed, volume = rest.analyzed, volume + rest.volume
        return Found(
            [ranked.get(n, ()) for n in range(len(questions))],
            analyzed,
            volume,
            search.open if is_quick else (),
            search.jobs(ranked.values()),
        )

    def _rows(self, catalogue: Catalogue, filters: Sequence[Condition]) -> VectorQuery:
        columns = catalogue.job_columns
        matching = where_clause(filters, columns) if filters else None
        return VectorQuery(catalogue.job_id, self._version, matching, columns)

    def _at_one_look(self, search: IndexSearch, count: int) -> Found:
        """The answers of a search whose message ended the transaction. Rows without a
        vector, should some have come since the search before, need another one: then
        all questions are inconclusive.
        """
        search.go(NEAR, is_last=True)
        self._is_complete = not search.vectorless
        ranked = search.ranked() if self._is_complete else {}
        everyone = range(search.questions)
        return Found(
            [ranked.get(n, ()) for n in everyone],
            count,
            Volume(search.rows_read, search.bytes_read),
            [n for n in everyone if n not in ranked],
            search.jobs(ranked.values()),
        )


def _ways(*, is_quick: bool, is_small: bool) -> Sequence[SearchStep]:
    if is_small:
        return (EXACT,)
    return (NEAR,) if is_quick else (NEAR, DEEP, EXACT)
