"""COPY BINARY records of ids, cut at any byte."""

import struct
from typing import Any

import numpy as np
import pytest

from app.query.ids import Kind
from app.storage.copy.embeddings import END_OF_DATA, HEADER, SIGNATURE
from app.storage.copy.ids import IdReader

INTEGERS = [struct.pack(">q", n) for n in (-(2**63), -1, 0, 7, 2**63 - 1)]
UUIDS = [bytes(range(16)), bytes(16), b"x" * 8 + bytes(8)]
TEXTS = ["", "a", "ü" * 40, "job 7"]


def stream_of(values: list[bytes], *, fields: int = 1) -> bytes:
    head = HEADER.pack(SIGNATURE, 0, 0)
    rows = b"".join(struct.pack(">hi", fields, len(v)) + v for v in values)
    return head + rows + END_OF_DATA


@pytest.mark.parametrize("step", [1, 2, 5, 7, 13, 14, 1000])
@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("integer", INTEGERS, [-(2**63), -1, 0, 7, 2**63 - 1]),
        # NumPy drops the zeros at the end.
        ("uuid", UUIDS, [bytes(range(16)), b"", b"x" * 8]),
        ("text", [text.encode() for text in TEXTS], [t.encode() for t in TEXTS]),
    ],
)
def test_ids_come_whole_however_the_stream_is_cut(
    kind: Kind, values: list[bytes], expected: list[Any], step: int
) -> None:
    parts: list[np.ndarray] = []
    reader = IdReader(kind, parts.append)
    data = stream_of(values * 3)
    for start in range(0, len(data), step):
        reader.write(data[start : start + step])
    assert reader.finished
    assert np.concatenate(parts).tolist() == expected * 3


@pytest.mark.parametrize("kind", ["integer", "uuid", "text"])
def test_a_record_of_several_fields_is_refused(kind: Kind) -> None:
    parts: list[np.ndarray] = []
    reader = IdReader(kind, parts.append)
    value = {"integer": INTEGERS[0], "uuid": UUIDS[0], "text": b"a"}[kind]
    with pytest.raises(
        ValueError, match=r"^a COPY record has an unexpected number of fields$"
    ):
        reader.write(stream_of([value], fields=2))
