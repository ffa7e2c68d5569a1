"""Ranks inside the database, where migrations/pgvector was applied.

Vectors in half precision only choose candidates. These come with their stored
embeddings and are scored as a scan scores its rows, so that scores and ties are those
of the full scan; what an index can miss is a candidate. See docs/pgvector.md.
"""

from collections.abc import Sequence

from app.batching.batcher import BatchScope
from app.query.constraints import Condition
from app.ranking.retrieval.base import SearchRequest, SearchResult
from app.ranking.retrieval.full_scan import FullScan
from app.ranking.retrieval.index_search import IndexSearch
from app.ranking.retrieval.search_params import EXACT, NEAR
from app.storage.catalogue import Catalogue
from app.storage.conditions import where_clause
from app.storage.connection.transaction import Transaction
from app.storage.vectors import CachedCounts, VectorQuery

# Up to this many rows the database compares all of them in a few milliseconds, and
# misses none.
EXACT_BELOW = 5_000
# For so few matches among many rows an index would be searched up to its limit, without
# finding them.
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

    def search(
        self,
        transaction: Transaction,
        catalogue: Catalogue,
        request: SearchRequest,
        scope: BatchScope,
    ) -> SearchResult:
        """As `Retrieval.search`. Raises SchemaError where the migration is missing.
        Before anything is embedded by this model, there is no table of its vectors.

        No index orders by scores with factors: the nearest BOOSTED_CANDIDATES jobs are
        ordered, and all jobs where no index is used.
        """
        key = request.key
        catalogue.require_vectors()
        if key.target == "users" or not catalogue.has_vectors(self._version):
            return self._full_scan.search(transaction, catalogue, request, scope)
        rows = self._rows(catalogue, key.filters)
        count = self._counts(transaction, rows)
        search = IndexSearch(transaction, rows, request, scope)
        few = min(FEW_MATCHES, self._exact_below) if key.filters else self._exact_below
        is_near = count > few and not key.exact
        if request.factors is not None and not is_near:
            return self._full_scan.search(transaction, catalogue, request, scope)
        if is_near:
            search.go(NEAR)
            search.widen(NEAR)
        step = EXACT
        while search.open:
            search.go(step)
            step = step.wider()
        return SearchResult(search.ranked, count - search.unusable, search.volume)

    def _rows(self, catalogue: Catalogue, filters: Sequence[Condition]) -> VectorQuery:
        columns = catalogue.job_columns
        matching = where_clause(filters, columns) if filters else None
        return VectorQuery.of(catalogue, self._version, matching)
