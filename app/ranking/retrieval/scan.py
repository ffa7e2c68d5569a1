"""One COPY, streamed into a consumer while somebody waits for it."""

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
    """Let `consume` have every chunk that `stream` writes; returns the bytes read.

    `read` makes the reader of the stream's records. Raises AbandonedError before a
    stream or a chunk that nobody waits for, and DatabaseUnavailableError when the
    stream ends before its end marker.
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
