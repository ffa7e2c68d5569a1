"""Decoders of COPY BINARY records of one field; `embeddings` has the framing."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.query.ids import Kind
from app.storage.copy.embeddings import TEXT_HEAD, CopyReader


class IdReader(CopyReader[NDArray[Any]]):
    """Reads ids: (n,) int64, or bytes as in `EmbeddingChunk`."""

    def __init__(self, kind: Kind, consume: Callable[[NDArray[Any]], None]) -> None:
        super().__init__(_frame_ids if kind == "text" else _FixedIds(kind), consume)


class TextReader(CopyReader[list[bytes]]):
    """Reads texts in UTF-8, none of them NULL."""

    def __init__(self, consume: Callable[[list[bytes]], None]) -> None:
        super().__init__(_frame_texts, consume)


class _FixedIds:
    def __init__(self, kind: Kind) -> None:
        id_type = ">i8" if kind == "integer" else "S16"
        fields = [("fields", ">i2"), ("id_length", ">i4"), ("id", id_type)]
        self._record = np.dtype(fields)

    def __call__(self, data: memoryview) -> tuple[int, NDArray[Any] | None]:
        count = len(data) // self._record.itemsize
        if count == 0:
            return 0, None
        rows = np.frombuffer(data, self._record, count)
        if (rows["fields"] != 1).any():
            raise ValueError("a COPY record has an unexpected number of fields")
        # Copied, in native byte order: the buffer is used again.
        ids = rows["id"]
        ids = ids.astype(np.int64) if ids.dtype.kind == "i" else ids.copy()
        return count * self._record.itemsize, ids


def _frame_ids(data: memoryview) -> tuple[int, NDArray[Any] | None]:
    used, ids = _frame_texts(data)
    return used, None if ids is None else np.array(ids)


def _frame_texts(data: memoryview) -> tuple[int, list[bytes] | None]:
    texts: list[bytes] = []
    used = 0
    while used + TEXT_HEAD.size <= len(data):
        fields, length = TEXT_HEAD.unpack_from(data, used)
        if fields != 1:
            raise ValueError("a COPY record has an unexpected number of fields")
        end = used + TEXT_HEAD.size + length
        if end > len(data):
            break
        texts.append(bytes(data[used + TEXT_HEAD.size : end]))
        used = end
    return used, texts or None
