"""COPY BINARY records of skill ids to batches: (id, spare int2, skill_ids).

The records vary in length, so that each tells where the next one starts. A step of
Python per record would cost more than the scoring: the starts are found by their
constant bytes in all places at once, and believed if each record ends where the next
one starts.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.query.ids import Kind
from app.storage.copy.embeddings import FIELDS, TEXT_HEAD, CopyReader

WORD = 4
ID_BYTES = {"integer": 8, "uuid": 16}
ID_START = 6  # after the count of fields and the id's length

# The first word of a record, and the last but one of its head (the end of the spare
# field's length, and its value): little-endian views of big-endian constants.
FIRST_WORD = int.from_bytes(struct.pack(">hh", FIELDS, 0), "little")
SPARE_WORD = int.from_bytes(struct.pack(">hh", 2, 0), "little")

TEXT_TAIL = struct.Struct(">ihi")  # spare length, spare, length of the skill ids


@dataclass(frozen=True)
class SkillIdChunk:
    """Rows of one COPY, in the order of their arrival; each has a skill.

    `ids`: (n,) as in `EmbeddingChunk`. `skill_ids`: (m,) int32, those of all rows one
    after the other. `starts`: (n,) intp, where each row's begin.
    """

    ids: NDArray[Any]
    skill_ids: NDArray[np.int32]
    starts: NDArray[np.intp]


def skill_reader(
    kind: Kind, consume: Callable[[SkillIdChunk], None]
) -> CopyReader[Any]:
    """A reader of records whose ids are of this kind."""
    return CopyReader(_walk if kind == "text" else _WordFrame(kind), consume)


class _WordFrame:
    """Records whose ids have one size: every part lies on a four-byte boundary."""

    def __init__(self, kind: str) -> None:
        self._id_bytes = ID_BYTES[kind]
        self._id_type = ">i8" if kind == "integer" else "S16"
        self._head = (ID_START + self._id_bytes + TEXT_TAIL.size) // WORD

    def __call__(self, data: memoryview) -> tuple[int, SkillIdChunk | None]:
        count = len(data) // WORD
        words = np.frombuffer(data, dtype="<u4", count=count)
        first = self._candidates(words)
        if len(first) == 0:
            return 0, None
        sizes = words[first + self._head - 1].byteswap() // WORD
        ends = first + self._head + sizes
        if first[0] != 0 or (ends[:-1] != first[1:]).any():
            # Skill ids that look like the head of a record: rare, so slowly.
            return _walk(data, self._id_type)
        complete = int(np.searchsorted(ends, count, side="right"))
        if complete == 0:
            return 0, None
        first, sizes = first[:complete], sizes[:complete]
        batch = self._batch(data, words[: ends[complete - 1]], first, sizes)
        return int(ends[complete - 1]) * WORD, batch

    def _candidates(self, words: NDArray[np.uint32]) -> NDArray[np.intp]:
        """Where a record may start: each place where one does, and seldom others."""
        room = len(words) - self._head + 1
        if room <= 0:
            return np.empty(0, dtype=np.intp)
        found = np.flatnonzero(words[:room] == FIRST_WORD)
        starts: NDArray[np.intp] = found[words[found + self._head - 2] == SPARE_WORD]
        return starts

    def _batch(
        self,
        data: memoryview,
        words: NDArray[np.uint32],
        first: NDArray[np.intp],
        sizes: NDArray[np.uint32],
    ) -> SkillIdChunk:
        octets = np.frombuffer(data, dtype=np.uint8)
        places = (first * WORD + ID_START)[:, None] + np.arange(self._id_bytes)
        ids = octets[places].view(self._id_type)[:, 0]
        keep = np.ones(len(words), dtype=bool)
        keep[first[:, None] + np.arange(self._head)] = False
        starts = np.zeros(len(first), dtype=np.intp)
        np.cumsum(sizes[:-1], out=starts[1:])
        return SkillIdChunk(_native(ids), words[keep].astype(np.int32), starts)


def _walk(
    data: memoryview, id_type: str | None = None
) -> tuple[int, SkillIdChunk | None]:
    """Record by record: for ids of varying size, and where heads are in doubt."""
    ids: list[bytes] = []
    lists: list[NDArray[np.int32]] = []
    used = 0
    for id_, start, end in _records(data):
        ids.append(id_)
        lists.append(np.frombuffer(data[start:end], dtype="<i4"))
        used = end
    if not ids:
        return 0, None
    sizes = [len(skill_ids) for skill_ids in lists]
    starts = np.concatenate([[0], np.cumsum(sizes[:-1], dtype=np.intp)])
    column = np.frombuffer(b"".join(ids), id_type) if id_type else np.array(ids)
    batch = SkillIdChunk(_native(column), np.concatenate(lists), starts.astype(np.intp))
    return used, batch


def _records(data: memoryview) -> Iterator[tuple[bytes, int, int]]:
    """(id, start, end) of the skill ids in `data` of each complete record."""
    position = 0
    while position + TEXT_HEAD.size <= len(data):
        fields, id_length = TEXT_HEAD.unpack_from(data, position)
        if fields != FIELDS:
            raise ValueError("a COPY record has an unexpected number of fields")
        id_end = position + TEXT_HEAD.size + id_length
        start = id_end + TEXT_TAIL.size
        if start > len(data):
            return
        end = start + TEXT_TAIL.unpack_from(data, id_end)[2]
        if end > len(data):
            return
        yield bytes(data[position + TEXT_HEAD.size : id_end]), start, end
        position = end


def _native(ids: NDArray[Any]) -> NDArray[Any]:
    return ids.astype(np.int64) if ids.dtype.kind == "i" else ids
