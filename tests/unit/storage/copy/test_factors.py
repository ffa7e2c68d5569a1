"""Decoding of ids and factors."""

import struct
import uuid

import numpy as np
import pytest

from app.query.ids import Kind
from app.storage.copy.embeddings import END_OF_DATA, HEADER, SIGNATURE
from app.storage.copy.factors import FactorChunk, FactorReader

UUIDS = [uuid.UUID(int=n).bytes for n in (1, 256, 2**120)]
IDS: dict[Kind, list[bytes]] = {
    "integer": [struct.pack(">q", n) for n in (-(2**63), 0, 7)],
    "uuid": UUIDS,
    "text": [b"", b"a job", "ü".encode()],
}
FACTORS = [0.1, 1.0, 10.0]


def stream(kind: Kind) -> bytes:
    records = [
        struct.pack(">hi", 2, len(id_)) + id_ + struct.pack(">id", 8, factor)
        for id_, factor in zip(IDS[kind], FACTORS, strict=True)
    ]
    return HEADER.pack(SIGNATURE, 0, 0) + b"".join(records) + END_OF_DATA


@pytest.mark.parametrize("kind", IDS)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_records_come_back_whatever_the_writes(kind: Kind, size: int) -> None:
    chunks: list[FactorChunk] = []
    reader = FactorReader(kind, chunks.append)
    data = stream(kind)
    for start in range(0, len(data), size):
        reader.write(data[start : start + size])
    assert reader.finished
    ids = np.concatenate([chunk.ids for chunk in chunks]).tolist()
    if kind == "integer":
        assert ids == [-(2**63), 0, 7]
    else:
        # NumPy drops zero bytes at the end.
        assert ids == [id_.rstrip(b"\0") for id_ in IDS[kind]]
    assert np.concatenate([chunk.factors for chunk in chunks]).tolist() == FACTORS


@pytest.mark.parametrize("kind", IDS)
def test_another_number_of_fields_is_refused(kind: Kind) -> None:
    reader = FactorReader(kind, lambda _: None)
    data = bytearray(stream(kind))
    data[HEADER.size + 1] = 3
    with pytest.raises(ValueError, match="unexpected number of fields"):
        reader.write(bytes(data))
