"""Decoding of COPY BINARY, split at any position."""

import itertools
import struct
import uuid
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.storage.copy.embeddings import (
    END_OF_DATA,
    SIGNATURE,
    EmbeddingChunk,
    RecordReader,
)

Kind = Literal["integer", "uuid", "text"]

HEADER = SIGNATURE + struct.pack(">II", 0, 0)


def record(id_: bytes, vector: np.ndarray) -> bytes:
    floats = vector.astype("<f4").tobytes()
    return (
        struct.pack(">hi", 3, len(id_))
        + id_
        + struct.pack(">ih", 2, 0)
        + struct.pack(">i", len(floats))
        + floats
    )


def vectors(count: int, dimension: int = 384) -> np.ndarray:
    rows = np.random.default_rng(7).standard_normal((count, dimension))
    return rows.astype(np.float32)


ROW = vectors(1)[0]


def encoded_ids(kind: Kind, count: int) -> list[bytes]:
    if kind == "integer":
        return [struct.pack(">q", 3 - n) for n in range(count)]
    if kind == "uuid":
        # Zero bytes at the end are what NumPy drops.
        return [uuid.UUID(int=n << 64).bytes for n in range(count)]
    return [f"job-{n}-é".encode() * (1 + n % 3) for n in range(count)]


def read(
    kind: Kind, stream: bytes, cuts: list[int]
) -> tuple[list[EmbeddingChunk], bool]:
    batches: list[EmbeddingChunk] = []

    def keep(batch: EmbeddingChunk) -> None:
        # A batch is valid only until the consumer returns.
        batches.append(EmbeddingChunk(batch.ids.copy(), batch.embeddings.copy()))

    reader = RecordReader(kind, keep)
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    for start, end in itertools.pairwise(edges):
        assert reader.write(bytearray(stream[start:end])) == end - start
    return batches, reader.finished


@pytest.mark.parametrize("kind", ["integer", "uuid", "text"])
@given(
    cuts=st.lists(st.integers(0, 20_000), max_size=8),
    count=st.integers(0, 6),
    dimension=st.sampled_from([384, 5, 1024]),
)
def test_records_survive_any_cut_of_the_stream(
    kind: Kind, cuts: list[int], count: int, dimension: int
) -> None:
    ids, rows = encoded_ids(kind, count), vectors(count, dimension)
    stream = HEADER + b"".join(map(record, ids, rows)) + END_OF_DATA

    batches, finished = read(kind, stream, cuts)

    assert finished
    got_ids = [id_ for batch in batches for id_ in batch.ids.tolist()]
    expected: list[object] = [
        struct.unpack(">q", id_)[0] if kind == "integer" else id_.rstrip(b"\0")
        for id_ in ids
    ]
    assert got_ids == expected
    got_rows = [row for batch in batches for row in batch.embeddings]
    np.testing.assert_array_equal(np.array(got_rows).reshape(rows.shape), rows)


@pytest.mark.parametrize(
    ("kind", "raw", "id_"),
    [("integer", struct.pack(">q", 5), 5), ("text", b"job-5", b"job-5")],
)
def test_every_boundary_inside_a_header_and_a_record_is_one_too(
    kind: Kind, raw: bytes, id_: object
) -> None:
    stream = HEADER + record(raw, vectors(1)[0]) + END_OF_DATA
    for cut in range(len(stream) + 1):
        batches, finished = read(kind, stream, [cut])
        assert finished
        assert [batch.ids.tolist() for batch in batches] == [[id_]]


def test_integers_are_of_the_processors_own_byte_order() -> None:
    (batch,), _ = read("integer", HEADER + record(struct.pack(">q", 5), ROW), [])
    assert batch.ids.dtype == np.dtype(np.int64)
    assert batch.ids.dtype.isnative


def test_a_stream_that_ends_inside_a_record_is_not_finished() -> None:
    stream = HEADER + record(struct.pack(">q", 5), vectors(1)[0])
    assert read("integer", stream, [])[1] is False
    assert read("integer", stream[:-4], [])[1] is False
    assert read("integer", HEADER[:7], [])[1] is False


def test_a_header_extension_is_skipped() -> None:
    header = SIGNATURE + struct.pack(">II", 0, 3) + b"abc"
    stream = header + record(struct.pack(">q", 5), vectors(1)[0]) + END_OF_DATA
    for cut in range(len(header) + 1):
        batches, finished = read("integer", stream, [cut])
        assert finished
        assert [batch.ids.tolist() for batch in batches] == [[5]]


def test_a_stream_in_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="not in PostgreSQL's binary COPY format"):
        read("integer", b"1\tpython, sql\t\\\\x00\n" * 3, [])


@pytest.mark.parametrize("kind", ["integer", "text"])
def test_a_record_with_another_number_of_fields_is_refused(kind: Kind) -> None:
    wrong = bytearray(record(struct.pack(">q", 5), vectors(1)[0]))
    wrong[1] = 2
    with pytest.raises(
        ValueError, match=r"^a COPY record has an unexpected number of fields$"
    ):
        read(kind, HEADER + wrong + END_OF_DATA, [])


@pytest.mark.parametrize("kind", ["integer", "text"])
def test_an_embedding_of_another_length_than_the_first_is_refused(kind: Kind) -> None:
    first = record(struct.pack(">q", 4), ROW)
    second = record(struct.pack(">q", 5), ROW[:-1]) + b"\0" * 4
    with pytest.raises(
        ValueError, match=r"^a COPY record has an embedding of unexpected length$"
    ):
        read(kind, HEADER + first + second + END_OF_DATA, [])


@pytest.mark.parametrize("length", [-1, 0, 1533])
@pytest.mark.parametrize("kind", ["integer", "text"])
def test_a_length_that_no_embedding_has_is_refused(kind: Kind, length: int) -> None:
    wrong = record(struct.pack(">q", 5), ROW)
    wrong = wrong[:20] + struct.pack(">i", length) + wrong[24:]
    with pytest.raises(
        ValueError, match=r"^a COPY record has an embedding of unexpected length$"
    ):
        read(kind, HEADER + wrong + END_OF_DATA, [])


def test_fixed_records_are_viewed_where_they_arrived_on_an_aligned_address() -> None:
    seen: list[np.ndarray] = []
    reader = RecordReader("integer", lambda batch: seen.append(batch.embeddings))
    reader.write(HEADER)
    chunk = b"".join(record(struct.pack(">q", n), vectors(1)[0]) for n in range(4))
    reader.write(chunk)
    embeddings = seen[0]
    assert not embeddings.flags.owndata
    assert embeddings.flags.aligned
    assert embeddings.strides == (1560, 4)


@pytest.mark.parametrize("kind", ["integer", "uuid", "text"])
def test_the_spare_field_comes_along(kind: Kind) -> None:
    records = [record(id_, ROW) for id_ in encoded_ids(kind, 3)]
    # The spare field lies before the embedding and its length.
    end = len(ROW.tobytes()) + 4
    marked = [
        one[: -end - 2] + struct.pack(">h", n - 1) + one[-end:]
        for n, one in enumerate(records)
    ]
    spares: list[int] = []
    reader = RecordReader(kind, lambda chunk: spares.extend(chunk.spares.tolist()))
    reader.write(HEADER + b"".join(marked) + END_OF_DATA)
    assert spares == [-1, 0, 1]
