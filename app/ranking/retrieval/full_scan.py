"""Ranks by streaming every embedding through the process: works on any Postgres."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from app.batching.batcher import BatchScope
from app.query.query import AbandonedError, Question
from app.query.result import Volume
from app.ranking.retrieval.base import Found
from app.ranking.top_k.bounds import Bounds
from app.ranking.top_k.cosine import CosineTopK
from app.storage.catalogue import Catalogue
from app.storage.conditions import where_clause
from app.storage.connection.transaction import Transaction
from app.storage.copy.embeddings import EmbeddingChunk, RecordReader
from app.storage.copy.reader import read_copy
from app.storage.jobs import RECORD_BYTES, stream_embeddings


class StreamSearch:
    """Reads the whole table once for all questions; keeps a running top-N of each."""

    def __init__(self, *, version: str, scan_chunk_rows: int) -> None:
        self._version = version
        self._buffer_bytes = scan_chunk_rows * RECORD_BYTES

    def best(
        self,
        transaction: Transaction,
        catalogue: Catalogue,
        questions: Sequence[Question],
        queries: NDArray[np.float32],  # (q, 384)
        scope: BatchScope,
        *,
        shows: bool = False,  # noqa: ARG002  (a scan keeps ids only)
    ) -> Found:
        """As `Search.best`, exactly."""
        if not questions:
            return Found((), 0, Volume(rows=0, bytes=0))
        selections = [question.constraints for question in questions]
        top = CosineTopK(
            queries,
            [question.top_n for question in questions],
            bounds=[Bounds.of(each, catalogue.job_id) for each in selections],
        )

        def consume(batch: EmbeddingChunk) -> None:
            if scope.abandoned():
                raise AbandonedError
            top.update(batch)

        reader = RecordReader(catalogue.job_id.kind, consume)
        stream = partial(
            stream_embeddings,
            transaction,
            job_id=catalogue.job_id,
            version=self._version,
            matching=where_clause(selections[0].filters, catalogue.job_columns),
        )
        read_copy(stream, reader, buffer_bytes=self._buffer_bytes)
        return Found(
            ranked=[top.result(rank) for rank in range(len(questions))],
            analyzed=top.analyzed,
            volume=Volume(top.analyzed + top.unusable, reader.bytes_read),
        )
