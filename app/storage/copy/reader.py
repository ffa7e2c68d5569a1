"""Run one COPY into a decoder."""

import io
from collections.abc import Callable
from typing import Any

from app.errors import DatabaseUnavailableError
from app.storage.connection.transaction import Sink
from app.storage.copy.embeddings import CopyReader


def read_copy(
    stream: Callable[[Sink], None], reader: CopyReader[Any], *, buffer_bytes: int
) -> None:
    """Stream into the reader, about `buffer_bytes` at a time.

    Raises DatabaseUnavailableError if the stream ends before its end marker.
    """
    # The buffered writer collects rows in C: a Python call per row would cost as much
    # as the arithmetic.
    sink = io.BufferedWriter(reader, buffer_size=buffer_bytes)
    stream(sink)
    sink.flush()
    if not reader.finished:
        raise DatabaseUnavailableError(
            "The database ended its response early; try again in a moment."
        )
