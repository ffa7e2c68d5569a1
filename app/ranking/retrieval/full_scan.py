"""Full scan: streams every embedding through the process, on any Postgres."""

from collections.abc import Callable
from functools import partial

from app.batching.batcher import BatchScope
from app.query.ids import IdColumn
from app.query.query import BatchKey
from app.query.result import Volume
from app.ranking.retrieval.base import NOTHING_SEARCHED, SearchRequest, SearchResult
from app.ranking.retrieval.scan import scan
from app.ranking.top_k.bounds import Bounds
from app.ranking.top_k.cosine import CosineTopK
from app.storage.catalogue import Catalogue
from app.storage.conditions import where_clause
from app.storage.connection.transaction import Sink, Transaction
from app.storage.copy.embeddings import RecordReader
from app.storage.entity_embeddings import stream_entity_embeddings
from app.storage.jobs import record_bytes, stream_embeddings


class FullScan:
    """Reads the whole table once for all queries, with a running top-k for each."""

    def __init__(self, *, version: str, scan_chunk_rows: int) -> None:
        self._version = version
        self._chunk_rows = scan_chunk_rows

    def search(
        self,
        transaction: Transaction,
        catalogue: Catalogue,
        request: SearchRequest,
        scope: BatchScope,
    ) -> SearchResult:
        """As `Retrieval.search`, exact."""
        if not request.queries:
            return NOTHING_SEARCHED
        column = id_column(catalogue, request.key)
        top = CosineTopK(
            request.vectors,
            [query.top_k for query in request.queries],
            bounds=[Bounds.of(query.constraints, column) for query in request.queries],
            factors=request.factors,
        )
        bytes_read = scan(
            self._stream(transaction, catalogue, request.key),
            partial(RecordReader, column.kind),
            top.update,
            scope,
            buffer_bytes=self._chunk_rows * record_bytes(request.vectors.shape[1]),
        )
        return SearchResult(
            ranked=[top.result(place) for place in range(len(request.queries))],
            analyzed=top.analyzed,
            volume=Volume(top.analyzed + top.unusable, bytes_read),
        )

    def _stream(
        self, transaction: Transaction, catalogue: Catalogue, key: BatchKey
    ) -> Callable[[Sink], None]:
        if key.target == "users":
            return partial(
                stream_entity_embeddings,
                transaction,
                table=catalogue.users,
                version=self._version,
                filters=key.filters,
            )
        return partial(
            stream_embeddings,
            transaction,
            jobs=catalogue.jobs,
            version=self._version,
            matching=where_clause(key.filters, catalogue.job_columns),
        )


def id_column(catalogue: Catalogue, key: BatchKey) -> IdColumn:
    """The id column of the rows that the queries rank."""
    return catalogue.user_id if key.target == "users" else catalogue.job_id
