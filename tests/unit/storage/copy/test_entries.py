"""Framing of records of an embedding and skill ids, whatever the chunks and the ids."""

import itertools
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.query.ids import Kind
from app.storage.copy.embeddings import END_OF_DATA
from app.storage.copy.skill_ids import (
    ENTRY_FIRST_WORD,
    SPARE_WORD,
    EntryChunk,
    entry_reader,
)
from tests.unit.storage.copy.test_skill_ids import HEADER, expected_id, id_bytes

IDS = st.one_of(
    st.integers(-1, 2**31 - 1), st.sampled_from([ENTRY_FIRST_WORD, SPARE_WORD, 1536])
)
DIMENSION = 384
# MiniLM's, one whose records are not a multiple of eight bytes, a large one.
DIMENSIONS = [DIMENSION, 5, 1024]
LISTS = st.lists(st.lists(IDS, min_size=1, max_size=6), max_size=6)
Row = tuple[object, list[int], float]


def record(
    id_: bytes,
    skill_ids: list[int],
    value: float,
    *,
    fields: int = 4,
    dimension: int = DIMENSION,
) -> bytes:
    data = np.array(skill_ids, dtype="<i4").tobytes()
    embedding = np.full(dimension, value, "<f4").tobytes()
    return b"".join(
        (
            struct.pack(">hi", fields, len(id_)) + id_,
            struct.pack(">ih", 2, 0),
            struct.pack(">i", len(embedding)) + embedding,
            struct.pack(">i", len(data)) + data,
        )
    )


def rows_of(batch: EntryChunk) -> list[Row]:
    lists = np.split(batch.skill_ids, batch.starts[1:])
    assert len(batch.embeddings) == len(lists)
    assert (batch.embeddings == batch.embeddings[:, :1]).all()
    return [
        (id_, skill_ids.tolist(), float(value))
        for id_, skill_ids, value in zip(
            batch.ids.tolist(), lists, batch.embeddings[:, 0], strict=True
        )
    ]


def read(kind: Kind, stream: bytes, cuts: list[int]) -> tuple[list[Row], bool]:
    rows: list[Row] = []
    reader = entry_reader(kind, lambda batch: rows.extend(rows_of(batch)))
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    for start, end in itertools.pairwise(edges):
        reader.write(bytearray(stream[start:end]))
    return rows, reader.finished


@pytest.mark.parametrize("kind", ["integer", "uuid", "text"])
@settings(max_examples=40, deadline=None)
@given(
    lists=LISTS,
    cuts=st.lists(st.integers(0, 10_000), max_size=5),
    dimension=st.sampled_from(DIMENSIONS),
)
def test_records_survive_any_cut_and_any_ids(
    kind: Kind, lists: list[list[int]], cuts: list[int], dimension: int
) -> None:
    ids = [id_bytes(kind, number) for number in range(len(lists))]
    records = [
        record(id_, own, n, dimension=dimension)
        for n, (id_, own) in enumerate(zip(ids, lists, strict=True))
    ]
    rows, finished = read(kind, HEADER + b"".join(records) + END_OF_DATA, cuts)
    assert finished
    assert rows == [
        (expected_id(kind, id_), own, n)
        for n, (id_, own) in enumerate(zip(ids, lists, strict=True))
    ]


@pytest.mark.parametrize("kind", ["integer", "uuid"])
def test_embeddings_that_spell_heads_start_no_record(kind: Kind) -> None:
    head = np.frombuffer(struct.pack("<I", ENTRY_FIRST_WORD), "<f4")[0]
    id_ = id_bytes(kind, 1)
    spelled = record(id_, [7], float(head))
    # Each word looks like the start of a record, and one like the spare field.
    at = spelled.index(struct.pack("<I", ENTRY_FIRST_WORD), 8)
    offset = (6 + len(id_)) // 4 * 4 + 4
    spelled = (
        spelled[: at + offset]
        + struct.pack("<I", SPARE_WORD)
        + spelled[at + offset + 4 :]
    )
    rows: list[int] = []
    reader = entry_reader(kind, lambda batch: rows.extend(batch.skill_ids.tolist()))
    reader.write(HEADER + spelled + record(id_, [8, 9], 1.0) + END_OF_DATA)
    assert (rows, reader.finished) == ([7, 8, 9], True)


@pytest.mark.parametrize("kind", ["integer", "uuid", "text"])
def test_a_record_with_another_number_of_fields_is_refused(kind: Kind) -> None:
    good = record(id_bytes(kind, 1), [7], 0)
    wrong = record(id_bytes(kind, 2), [7], 0, fields=3)
    with pytest.raises(
        ValueError, match=r"^a COPY record has an unexpected number of fields$"
    ):
        read(kind, HEADER + wrong + good + END_OF_DATA, [])
