"""Stream one COPY into a consumer unless the batch is cancelled."""

from collections.abc import Callable
from typing import TypeVar

from app.batching.batcher import BatchScope
from app.query.result import AbandonedError
from app.storage.connection.transaction import Sink
from app.storage.copy.embeddings import CopyReader
from app.storage.copy.reader import read_copy

Chunk = TypeVar("Chunk")


def scan(
    stream: Callable[[Sink], None],
    read: Callable[[Callable[[Chunk], None]], CopyReader[Chunk]],
    consume: Callable[[Chunk], None],
    scope: BatchScope,
    *,
    buffer_bytes: int,
) -> int:
    """Pass every chunk that `stream` writes to `consume`. Returns the bytes read.

    `read` creates the decoder. Raises AbandonedError before the stream or a chunk if
    the batch was cancelled, and DatabaseUnavailableError if the stream ends before its
    end marker.
    """

    def check() -> None:
        if scope.abandoned():
            raise AbandonedError

    def consume_if_awaited(chunk: Chunk) -> None:
        check()
        consume(chunk)

    check()
    reader = read(consume_if_awaited)
    read_copy(stream, reader, buffer_bytes=buffer_bytes)
    return reader.bytes_read
