"""Runs one COPY into a reader, whole rows at a time."""

import io
from collections.abc import Callable
from typing import Any

from app.errors import DatabaseUnavailableError
from app.storage.connection.transaction import Sink
from app.storage.copy.embeddings import CopyReader


def read_copy(
    stream: Callable[[Sink], None], reader: CopyReader[Any], *, buffer_bytes: int
) -> None:
    """Let `stream` write into the reader, about `buffer_bytes` at a time.

    Raises DatabaseUnavailableError when the stream ends before its end marker.
    """
    # The buffered writer gathers whole rows in C; a Python call per row would cost
    # as much as the arithmetic.
    sink = io.BufferedWriter(reader, buffer_size=buffer_bytes)
    stream(sink)
    sink.flush()
    if not reader.finished:
        raise DatabaseUnavailableError(
            "The database ended its answer early; try again in a moment."
        )
