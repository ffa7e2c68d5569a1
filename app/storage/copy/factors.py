"""Decoder of COPY BINARY records of an id and a float8; see `embeddings`."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.query.ids import Kind
from app.storage.copy.embeddings import TEXT_HEAD, CopyReader

FACTOR_FIELDS = 2
FACTOR = struct.Struct(">id")  # length and value


@dataclass(frozen=True)
class FactorChunk:
    """Some rows: `ids` (n,) as in `EmbeddingChunk`, `factors` (n,) float64."""

    ids: NDArray[Any]
    factors: NDArray[np.float64]


class FactorReader(CopyReader[FactorChunk]):
    """Reads records of ids of this kind."""

    def __init__(self, kind: Kind, consume: Callable[[FactorChunk], None]) -> None:
        super().__init__(_frame_texts if kind == "text" else _FixedRows(kind), consume)


class _FixedRows:
    def __init__(self, kind: Kind) -> None:
        id_type = ">i8" if kind == "integer" else "S16"
        self._record = np.dtype(
            [
                ("fields", ">i2"),
                ("id_length", ">i4"),
                ("id", id_type),
                ("length", ">i4"),
                ("factor", ">f8"),
            ]
        )

    def __call__(self, data: memoryview) -> tuple[int, FactorChunk | None]:
        count = len(data) // self._record.itemsize
        if count == 0:
            return 0, None
        rows = np.frombuffer(data, self._record, count)
        _check((rows["fields"] == FACTOR_FIELDS).all())
        ids = rows["id"]
        # Copied, in native byte order: the buffer is used again.
        ids = ids.astype(np.int64) if ids.dtype.kind == "i" else ids.copy()
        chunk = FactorChunk(ids, rows["factor"].astype(np.float64))
        return count * self._record.itemsize, chunk


def _frame_texts(data: memoryview) -> tuple[int, FactorChunk | None]:
    ids: list[bytes] = []
    factors: list[float] = []
    used = 0
    while used + TEXT_HEAD.size <= len(data):
        fields, length = TEXT_HEAD.unpack_from(data, used)
        _check(fields == FACTOR_FIELDS)
        start = used + TEXT_HEAD.size
        if start + length + FACTOR.size > len(data):
            break
        ids.append(bytes(data[start : start + length]))
        factors.append(FACTOR.unpack_from(data, start + length)[1])
        used = start + length + FACTOR.size
    return used, FactorChunk(np.array(ids), np.array(factors)) if ids else None


def _check(is_sound: bool) -> None:
    if not is_sound:
        raise ValueError("a COPY record has an unexpected number of fields")
