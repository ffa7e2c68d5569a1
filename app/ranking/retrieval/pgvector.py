"""Ranks inside the database, where migrations/pgvector was applied.

Vectors in half precision only choose candidates. These come with their stored
embeddings and are scored as a scan scores its rows, so that scores and ties are those
of the full scan; what an index can miss is a candidate. See docs/pgvector.md.
"""

from collections.abc import Sequence
from dataclasses import replace

from app.batching.batcher import BatchScope
from app.query.constraints import Condition
from app.query.result import Volume
from app.ranking.retrieval.base import NOTHING_SEARCHED, SearchRequest, SearchResult
from app.ranking.retrieval.full_scan import FullScan
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
    """Searches the index for each query, all those of a batch in one statement."""

    def __init__(
        self, *, version: str, scan_chunk_rows: int, exact_below: int = EXACT_BELOW
    ) -> None:
        self._version = version
        self._full_scan = FullScan(version=version, scan_chunk_rows=scan_chunk_rows)
        self._exact_below = exact_below
        self._counts = CachedCounts()
        # Whether every row had a vector when that was last seen.
        self._is_complete = False

    def search(
        self,
        transaction: Transaction,
        catalogue: Catalogue,
        request: SearchRequest,
        scope: BatchScope,
        *,
        with_texts: bool = False,
    ) -> SearchResult:
        """As `Retrieval.search`. Raises SchemaError where the migration is missing."""
        key = request.key
        if key.target == "users":
            return self._full_scan.search(transaction, catalogue, request, scope)
        if not request.queries:
            catalogue.require_vectors()
            return NOTHING_SEARCHED
        rows = self._rows(catalogue, key.filters)
        count = self._counts(transaction, rows)
        search = IndexSearch(transaction, rows, request, scope, with_texts=with_texts)
        few = FEW_MATCHES if key.filters else self._exact_below
        is_shallow = key.shallow and count > few
        if is_shallow and with_texts and self._is_complete:
            return self._in_one_statement(search, count)
        for step in _steps(is_shallow=is_shallow, is_small=count <= few):
            search.go(step)
        search.read_vectorless()
        self._is_complete = not search.vectorless
        found = _found(search, count - search.unusable, is_shallow=is_shallow)
        if not search.open or is_shallow:
            return found
        # Hundreds of jobs tie at the last place, and all were asked for.
        rest = self._full_scan.search(
            transaction, catalogue, request.of(search.open), scope
        )
        return _joined(found, rest, search.open)

    def _rows(self, catalogue: Catalogue, filters: Sequence[Condition]) -> VectorQuery:
        columns = catalogue.job_columns
        matching = where_clause(filters, columns) if filters else None
        return VectorQuery.of(catalogue, self._version, matching)

    def _in_one_statement(self, search: IndexSearch, count: int) -> SearchResult:
        """The results of a search whose message ended the transaction. Rows without a
        vector, should some have come since the search before, need another one: then
        all queries are inconclusive.
        """
        search.go(NEAR, is_last=True)
        self._is_complete = not search.vectorless
        if not self._is_complete:
            search.open = list(range(search.size))
        return _found(search, count, is_shallow=True)


def _steps(*, is_shallow: bool, is_small: bool) -> Sequence[SearchStep]:
    if is_small:
        return (EXACT,)
    return (NEAR,) if is_shallow else (NEAR, DEEP, EXACT)


def _found(search: IndexSearch, analyzed: int, *, is_shallow: bool) -> SearchResult:
    ranked = search.ranked()
    answered = {n: rows for n, rows in ranked.items() if n not in search.open}
    return SearchResult(
        [answered.get(n, ()) for n in range(search.size)],
        analyzed,
        Volume(search.rows_read, search.bytes_read),
        search.open if is_shallow else (),
        search.jobs(answered.values()),
    )


def _joined(
    found: SearchResult, rest: SearchResult, places: Sequence[int]
) -> SearchResult:
    """With the results of those places that were still open."""
    scanned = dict(zip(places, rest.ranked, strict=True))
    return replace(
        found,
        ranked=[scanned.get(n, rows) for n, rows in enumerate(found.ranked)],
        analyzed=rest.analyzed,
        volume=found.volume + rest.volume,
    )
