"""Decoding of skill ids, split at any position and with any ids."""

import itertools
import struct
import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.query.ids import Kind
from app.storage.copy.embeddings import END_OF_DATA, SIGNATURE
from app.storage.copy.skill_ids import (
    FIRST_WORD,
    SPARE_WORD,
    SkillIdChunk,
    skill_reader,
)

HEADER = SIGNATURE + struct.pack(">II", 0, 0)
Row = tuple[object, list[int]]

# Ids that look like words of a record's header are as likely as all others.
SKILL_IDS = st.one_of(
    st.integers(1, 2**31 - 1), st.sampled_from([FIRST_WORD, SPARE_WORD, 2048, 1])
)
LISTS = st.lists(st.lists(SKILL_IDS, min_size=1, max_size=12), max_size=12)


def id_bytes(kind: Kind, number: int) -> bytes:
    if kind == "integer":
        return struct.pack(">q", 3 - number)
    if kind == "uuid":
        # Zero bytes at the end are what NumPy drops.
        return uuid.UUID(int=number << 64).bytes
    return f"job-{number}-é".encode() * (1 + number % 3)


def record(id_: bytes, skill_ids: list[int]) -> bytes:
    data = np.array(skill_ids, dtype="<i4").tobytes()
    head = struct.pack(">hi", 3, len(id_)) + id_ + struct.pack(">ih", 2, 0)
    return head + struct.pack(">i", len(data)) + data


def expected_id(kind: Kind, raw: bytes) -> object:
    return struct.unpack(">q", raw)[0] if kind == "integer" else raw.rstrip(b"\0")


def rows_of(batch: SkillIdChunk) -> list[Row]:
    lists = np.split(batch.skill_ids, batch.starts[1:])
    return [
        (id_, skill_ids.tolist())
        for id_, skill_ids in zip(batch.ids.tolist(), lists, strict=True)
    ]


def read(kind: Kind, stream: bytes, cuts: list[int]) -> tuple[list[Row], bool]:
    rows: list[Row] = []
    reader = skill_reader(kind, lambda batch: rows.extend(rows_of(batch)))
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    for start, end in itertools.pairwise(edges):
        assert reader.write(bytearray(stream[start:end])) == end - start
    return rows, reader.finished


@pytest.mark.parametrize("kind", ["integer", "uuid", "text"])
@given(lists=LISTS, cuts=st.lists(st.integers(0, 2_000), max_size=8))
def test_records_survive_any_cut_and_any_ids(
    kind: Kind, lists: list[list[int]], cuts: list[int]
) -> None:
    ids = [id_bytes(kind, number) for number in range(len(lists))]
    stream = HEADER + b"".join(map(record, ids, lists)) + END_OF_DATA
    rows, finished = read(kind, stream, cuts)
    assert finished
    assert rows == [
        (expected_id(kind, id_), skill_ids)
        for id_, skill_ids in zip(ids, lists, strict=True)
    ]


def test_skill_ids_that_spell_a_whole_head_start_no_record() -> None:
    inside = record(struct.pack(">q", 9), [4, 5])
    spelled = np.frombuffer(inside, dtype="<i4").tolist()
    stream = (
        HEADER
        + record(struct.pack(">q", 1), [7, *spelled])
        + record(struct.pack(">q", 2), spelled)
        + END_OF_DATA
    )
    assert read("integer", stream, [])[0] == [(1, [7, *spelled]), (2, spelled)]


def test_a_stream_that_ends_inside_a_record_is_not_finished() -> None:
    stream = HEADER + record(struct.pack(">q", 1), [7, 8])
    assert read("integer", stream[:-4], []) == ([], False)
    assert read("integer", stream, []) == ([(1, [7, 8])], False)


@pytest.mark.parametrize("kind", ["integer", "uuid", "text"])
def test_a_record_with_another_number_of_fields_is_refused(kind: Kind) -> None:
    good = record(id_bytes(kind, 1), [7])
    wrong = bytearray(record(id_bytes(kind, 2), [7]))
    wrong[1] = 2
    with pytest.raises(
        ValueError, match=r"^a COPY record has an unexpected number of fields$"
    ):
        read(kind, HEADER + wrong + good + END_OF_DATA, [])


def test_large_integers_keep_their_last_digit_in_the_processors_byte_order() -> None:
    batches: list[SkillIdChunk] = []
    # The second list looks like the head of a record, which takes the other way.
    for listed in ([7], [FIRST_WORD, SPARE_WORD, FIRST_WORD]):
        reader = skill_reader("integer", batches.append)
        large = struct.pack(">q", 2**53 + 1)
        reader.write(HEADER + record(large, listed) + END_OF_DATA)
    assert len(batches) == 2
    for batch in batches:
        assert batch.ids.tolist() == [2**53 + 1]
        assert batch.ids.dtype == np.dtype(np.int64)
        assert batch.skill_ids.dtype == np.dtype(np.int32)
