"""Decoder of embeddings in PostgreSQL's binary COPY format.

https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format": a header of 19
bytes (longer with an extension), then per row the number of fields and for each field
its length and bytes, all big-endian. -1 as the number of fields ends the data.
"""

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.query.ids import Kind
from app.storage.codec import FLOAT32

SIGNATURE = b"PGCOPY\n\xff\r\n\0"
HEADER = struct.Struct(">11sII")
END_OF_DATA = struct.pack(">h", -1)
FIELDS = 3  # job_id, spare int2, embedding
TEXT_HEAD = struct.Struct(">hi")
# Between a text id and the floats: the spare field with its length, and a length.
TEXT_GAP = struct.Struct(">ihi")


@dataclass(frozen=True)
class EmbeddingChunk:
    """Consecutive rows of one COPY.

    `ids`: (n,) int64, or the bytes of uuids or UTF-8 texts as NumPy `S`, which sort as
    in Postgres' C collation. `embeddings`: (n, dimension) float32, a view of the buffer
    if possible, and valid only until the consumer returns. `spares`: (n,) int16, a
    value that the statement sets for each row; 0 by default.
    """

    ids: NDArray[Any]
    embeddings: NDArray[np.float32]
    spares: NDArray[np.int16] = field(default_factory=lambda: np.empty(0, np.int16))


Consumer = Callable[[EmbeddingChunk], None]
ChunkT = TypeVar("ChunkT")


class CopyReader(io.RawIOBase, Generic[ChunkT]):
    """Decodes a COPY stream, whose writes may split records, for a consumer.

    `frame` decodes the complete records at the start of its argument: it returns their
    length in bytes and their chunk, or None without any.
    """

    def __init__(
        self,
        frame: Callable[[memoryview], tuple[int, ChunkT | None]],
        consume: Callable[[ChunkT], None],
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
        """Decode some bytes, and keep those of an incomplete record."""
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
        """Whether the stream has ended with the end marker of the format."""
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
        used, chunk = self._frame(data)
        if chunk is not None:
            self._consume(chunk)
        return used


class RecordReader(CopyReader[EmbeddingChunk]):
    """Reads records of ids and embeddings."""

    def __init__(self, kind: Kind, consume: Consumer) -> None:
        super().__init__(_TextFrame() if kind == "text" else _FixedFrame(kind), consume)


class _FixedFrame:
    """Records of fixed size: the bytes become a structured view without a copy.

    The first record gives the length of all embeddings.
    """

    def __init__(self, kind: Literal["integer", "uuid"]) -> None:
        self._head = [
            ("fields", ">i2"),
            ("id_length", ">i4"),
            ("id", ">i8" if kind == "integer" else "S16"),
            ("spare_length", ">i4"),
            ("spare", ">i2"),
            ("embedding_length", ">i4"),
        ]
        self._record: np.dtype[Any] | None = None

    def __call__(self, data: memoryview) -> tuple[int, EmbeddingChunk | None]:
        if self._record is None:
            self._record = self._whole_record(data)
        record = self._record
        count = 0 if record is None else len(data) // record.itemsize
        if record is None or count == 0:
            return 0, None
        rows = np.frombuffer(data, dtype=record, count=count)
        _check_fields(bool((rows["fields"] == FIELDS).all()))
        wide = record["embedding"].itemsize
        _check_length(bool((rows["embedding_length"] == wide).all()))
        ids = rows["id"]
        if ids.dtype.kind == "i":
            ids = ids.astype(np.int64)  # native byte order: (n,) int64
        chunk = EmbeddingChunk(ids, rows["embedding"], rows["spare"])
        return count * record.itemsize, chunk

    def _whole_record(self, data: memoryview) -> np.dtype[Any] | None:
        """The type of all records, by the head of the first; None if it is cut."""
        head = np.dtype(self._head)
        if len(data) < head.itemsize:
            return None
        first = np.frombuffer(data, dtype=head, count=1)[0]
        _check_fields(first["fields"] == FIELDS)
        length = int(first["embedding_length"])
        _check_length(length > 0 and length % FLOAT32.itemsize == 0)
        wide = (length // FLOAT32.itemsize,)
        return np.dtype([*self._head, ("embedding", "<f4", wide)])


class _TextFrame:
    """Records of variable size, one by one: some 20 times the cost of fixed ones."""

    def __init__(self) -> None:
        self._length: int | None = None

    def __call__(self, data: memoryview) -> tuple[int, EmbeddingChunk | None]:
        ids: list[bytes] = []
        spares: list[int] = []
        embeddings: list[NDArray[np.float32]] = []
        used = 0
        for id_, spare, start, end in _text_records(data):
            if self._length is None:
                self._length = end - start
            _check_length(end - start == self._length)
            ids.append(id_)
            spares.append(spare)
            embeddings.append(np.frombuffer(data[start:end], dtype="<f4"))
            used = end
        if not ids:
            return 0, None
        return used, EmbeddingChunk(
            np.array(ids), np.stack(embeddings), np.array(spares, "i2")
        )


def _text_records(data: memoryview) -> Iterator[tuple[bytes, int, int, int]]:
    """Each complete record: its id, spare value, and start and end of its embedding."""
    position = 0
    while position + TEXT_HEAD.size <= len(data):
        fields, id_length = TEXT_HEAD.unpack_from(data, position)
        _check_fields(fields == FIELDS)
        id_end = position + TEXT_HEAD.size + id_length
        start = id_end + TEXT_GAP.size
        if start > len(data):
            return
        _, spare, length = TEXT_GAP.unpack_from(data, id_end)
        _check_length(length > 0 and length % FLOAT32.itemsize == 0)
        end = start + length
        if end > len(data):
            return
        yield bytes(data[position + TEXT_HEAD.size : id_end]), spare, start, end
        position = end


def _check_fields(is_sound: bool) -> None:
    if not is_sound:
        raise ValueError("a COPY record has an unexpected number of fields")


def _check_length(is_sound: bool) -> None:
    if not is_sound:
        raise ValueError("a COPY record has an embedding of unexpected length")
