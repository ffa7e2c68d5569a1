"""A scan of a stream that stands in for the database's COPY."""

import struct
from functools import partial

import numpy as np
import pytest

from app.batching.batcher import BatchScope
from app.deadline import Deadline
from app.errors import DatabaseUnavailableError
from app.query.result import AbandonedError
from app.ranking.retrieval.scan import scan
from app.storage.connection.transaction import Sink
from app.storage.copy.embeddings import (
    END_OF_DATA,
    SIGNATURE,
    EmbeddingChunk,
    RecordReader,
)

HEADER = SIGNATURE + struct.pack(">II", 0, 0)
ROWS = np.arange(10 * 384, dtype=np.float32).reshape(10, 384)
RECORDS = [
    struct.pack(">hiqihi", 3, 8, n, 2, 0, len(row.tobytes())) + row.tobytes()
    for n, row in enumerate(ROWS)
]


class Stream:
    """Writes a header, some records and the end; counts how often it was asked."""

    def __init__(self, *, ends: bool = True) -> None:
        self.ends = ends
        self.asked = 0

    def __call__(self, sink: Sink) -> None:
        self.asked += 1
        for part in (HEADER, *RECORDS, END_OF_DATA if self.ends else b""):
            sink.write(part)


def awaited(while_taken: int, chunks: list[EmbeddingChunk]) -> BatchScope:
    """Somebody waits until so many chunks were taken."""
    return BatchScope(Deadline(at=np.inf), abandoned=lambda: len(chunks) >= while_taken)


def scanned(stream: Stream, chunks: list[EmbeddingChunk], scope: BatchScope) -> int:
    def keep(chunk: EmbeddingChunk) -> None:
        # The reader uses its buffer again.
        chunks.append(EmbeddingChunk(chunk.ids.copy(), chunk.embeddings.copy()))

    return scan(
        stream,
        partial(RecordReader, "integer"),
        keep,
        scope,
        buffer_bytes=2 * len(RECORDS[0]),
    )


def test_all_rows_come_in_order_and_their_bytes_are_counted() -> None:
    chunks: list[EmbeddingChunk] = []
    read = scanned(Stream(), chunks, awaited(100, chunks))
    assert np.concatenate([chunk.ids for chunk in chunks]).tolist() == [*range(10)]
    assert (np.concatenate([chunk.embeddings for chunk in chunks]) == ROWS).all()
    # About a buffer at a time, which holds two rows.
    assert max(len(chunk.ids) for chunk in chunks) <= 3
    assert read == len(HEADER) + sum(map(len, RECORDS)) + len(END_OF_DATA)


def test_a_chunk_that_nobody_waits_for_is_not_consumed() -> None:
    chunks: list[EmbeddingChunk] = []
    with pytest.raises(AbandonedError):
        scanned(Stream(), chunks, awaited(2, chunks))
    assert len(chunks) == 2


def test_a_stream_that_nobody_waits_for_is_not_begun() -> None:
    stream, chunks = Stream(), list[EmbeddingChunk]()
    with pytest.raises(AbandonedError):
        scanned(stream, chunks, awaited(0, chunks))
    assert (stream.asked, chunks) == (0, [])


def test_a_stream_without_its_end_is_no_answer() -> None:
    chunks: list[EmbeddingChunk] = []
    with pytest.raises(DatabaseUnavailableError) as raised:
        scanned(Stream(ends=False), chunks, awaited(100, chunks))
    assert str(raised.value) == (
        "The database ended its response early; try again in a moment."
    )
