"""COPY BINARY records to batches: the framing of PostgreSQL's binary COPY format.

https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format": a header of
19 bytes (longer if it carries an extension), then per row a count of fields and per
field its length and bytes, all big-endian; -1 as the count of fields ends the data.
"""

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.query.ids import Kind
from app.storage.codec import DIMENSION, EMBEDDING_BYTES

SIGNATURE = b"PGCOPY\n\xff\r\n\0"
HEADER = struct.Struct(">11sII")
END_OF_DATA = struct.pack(">h", -1)
FIELDS = 3  # job_id, spare int2, embedding
TEXT_HEAD = struct.Struct(">hi")
# Between a text id and the floats: the spare field with its length, and a length.
TEXT_GAP = struct.Struct(">ihi")


@dataclass(frozen=True)
class EmbeddingChunk:
    """Rows of one COPY, in the order of their arrival.

    `ids`: (n,) int64, or the bytes of uuids or UTF-8 texts as NumPy `S`, which sort
    as Postgres sorts them in the C collation. `embeddings`: (n, 384) float32, a view
    of the buffer where possible, valid only until the consumer returns. `spares`: (n,)
    int16, what the statement says of each row beside it; 0 where it says nothing.
    """

    ids: NDArray[Any]
    embeddings: NDArray[np.float32]
    spares: NDArray[np.int16] = field(default_factory=lambda: np.empty(0, np.int16))


Consumer = Callable[[EmbeddingChunk], None]
SomeBatch = TypeVar("SomeBatch")


class CopyReader(io.RawIOBase, Generic[SomeBatch]):
    """Cuts chunks, whatever their boundaries, into batches for a consumer.

    `frame` gives the batch of the complete records at the start of some bytes, or
    None where there is none, and how many bytes they are.
    """

    def __init__(
        self,
        frame: Callable[[memoryview], tuple[int, SomeBatch | None]],
        consume: Callable[[SomeBatch], None],
    ) -> None:
        super().__init__()
        self._frame = frame
        self._consume = consume
        self._rest = b""
        self._in_header = True
        self.bytes_read = 0

    def writable(self) -> bool:
        return True

    def write(self, chunk: Any, /) -> int:
        """Consume one chunk; bytes of a record that is still incomplete are kept."""
        data = memoryview(chunk)
        size = len(data)
        self.bytes_read += size
        if self._rest:
            data = memoryview(self._rest + data)
        if self._in_header:
            data = self._skip_header(data)
        used = 0 if self._in_header else self._consume_records(data)
        self._rest = bytes(data[used:])
        return size

    @property
    def finished(self) -> bool:
        """Whether the stream ended where its format says it does."""
        return self._rest == END_OF_DATA and not self._in_header

    def _skip_header(self, data: memoryview) -> memoryview:
        if len(data) < HEADER.size:
            return data
        signature, _flags, extension = HEADER.unpack_from(data)
        if signature != SIGNATURE:
            raise ValueError("the stream is not in PostgreSQL's binary COPY format")
        if len(data) < HEADER.size + extension:
            return data
        self._in_header = False
        return data[HEADER.size + extension :]

    def _consume_records(self, data: memoryview) -> int:
        used, batch = self._frame(data)
        if batch is not None:
            self._consume(batch)
        return used


class RecordReader(CopyReader[EmbeddingChunk]):
    """Reads the records of embeddings."""

    def __init__(self, kind: Kind, consume: Consumer) -> None:
        super().__init__(_frame_text if kind == "text" else _FixedFrame(kind), consume)


class _FixedFrame:
    """Records of one size: the whole chunk becomes a structured view at no cost."""

    def __init__(self, kind: Literal["integer", "uuid"]) -> None:
        id_type = ">i8" if kind == "integer" else "S16"
        self._record = np.dtype(
            [
                ("fields", ">i2"),
                ("id_length", ">i4"),
                ("id", id_type),
                ("spare_length", ">i4"),
                ("spare", ">i2"),
                ("embedding_length", ">i4"),
                ("embedding", "<f4", (DIMENSION,)),
            ]
        )

    def __call__(self, data: memoryview) -> tuple[int, EmbeddingChunk | None]:
        count = len(data) // self._record.itemsize
        if count == 0:
            return 0, None
        rows = np.frombuffer(data, dtype=self._record, count=count)
        if (rows["fields"] != FIELDS).any():
            raise ValueError("a COPY record has an unexpected number of fields")
        if (rows["embedding_length"] != EMBEDDING_BYTES).any():
            raise ValueError("a COPY record has an embedding of unexpected length")
        ids = rows["id"]
        if ids.dtype.kind == "i":
            ids = ids.astype(np.int64)  # native byte order: (n,) int64
        chunk = EmbeddingChunk(ids, rows["embedding"], rows["spare"])
        return count * self._record.itemsize, chunk


def _frame_text(data: memoryview) -> tuple[int, EmbeddingChunk | None]:
    """Records of varying size, one by one: some 20 times the cost of fixed ones."""
    ids: list[bytes] = []
    spares: list[int] = []
    embeddings: list[NDArray[np.float32]] = []
    used = 0
    for id_, spare, start, end in _text_records(data):
        ids.append(id_)
        spares.append(spare)
        embeddings.append(np.frombuffer(data[start:end], dtype="<f4"))
        used = end
    if not ids:
        return 0, None
    chunk = EmbeddingChunk(np.array(ids), np.stack(embeddings), np.array(spares, "i2"))
    return used, chunk


def _text_records(data: memoryview) -> Iterator[tuple[bytes, int, int, int]]:
    """(id, spare, start, end) of the embedding in `data` of each complete record."""
    position = 0
    while position + TEXT_HEAD.size <= len(data):
        fields, id_length = TEXT_HEAD.unpack_from(data, position)
        if fields != FIELDS:
            raise ValueError("a COPY record has an unexpected number of fields")
        id_end = position + TEXT_HEAD.size + id_length
        start = id_end + TEXT_GAP.size
        end = start + EMBEDDING_BYTES
        if end > len(data):
            return
        _, spare, _ = TEXT_GAP.unpack_from(data, id_end)
        yield bytes(data[position + TEXT_HEAD.size : id_end]), spare, start, end
        position = end
