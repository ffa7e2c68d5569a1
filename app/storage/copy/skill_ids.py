"""Decoder of skill ids in COPY BINARY, with or without embeddings.

Records: (id, spare int2, skill_ids), or (id, spare int2, embedding, skill_ids).

Records vary in length, but decoding them one by one in Python would cost more than the
scoring. Instead, one vectorized search finds the constant bytes at the start of each
record. Its result is valid if each record ends where the next one starts.
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
ID_BYTES: dict[Kind, int] = {"integer": 8, "uuid": 16}
ID_TYPES: dict[Kind, str] = {"integer": ">i8", "uuid": "S16"}
ID_START = 6  # after the number of fields and the id's length

# The first word of a record, and that of the spare field (the end of its length, and
# its value): big-endian constants read as little-endian.
FIRST_WORD = int.from_bytes(struct.pack(">hh", FIELDS, 0), "little")
ENTRY_FIRST_WORD = int.from_bytes(struct.pack(">hh", FIELDS + 1, 0), "little")
SPARE_WORD = int.from_bytes(struct.pack(">hh", 2, 0), "little")

SPARE = struct.Struct(">ih")  # length and value
FIELD_LENGTH = struct.Struct(">i")


@dataclass(frozen=True)
class SkillIdChunk:
    """Rows of one COPY, in the order of their arrival; each has a skill.

    `ids`: (n,) as in `EmbeddingChunk`. `skill_ids`: (m,) int32, those of all rows one
    after the other. `starts`: (n,) intp, where each row's begin.
    """

    ids: NDArray[Any]
    skill_ids: NDArray[np.int32]
    starts: NDArray[np.intp]


@dataclass(frozen=True)
class EntryChunk(SkillIdChunk):
    """With `embeddings`: (n, dimension) float32, zeros where a row has none."""

    embeddings: NDArray[np.float32]

    def embeddings_at(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(m, 384): those of some rows of the chunk."""
        return self.embeddings[rows]


def skill_reader(
    kind: Kind, consume: Callable[[SkillIdChunk], None]
) -> CopyReader[Any]:
    """A decoder of records with ids of this kind."""
    frame = _Walk(kind, 0) if kind == "text" else _WordFrame(kind, 0)
    return CopyReader(frame, consume)


def entry_reader(kind: Kind, consume: Callable[[EntryChunk], None]) -> CopyReader[Any]:
    """A decoder of records that have an embedding as well, all of one length."""
    return CopyReader(_EntryFrame(kind), consume)


class _EntryFrame:
    """Chooses the frame by the length of the first record's embedding."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._frame: _Walk | _WordFrame | None = None

    def __call__(self, data: memoryview) -> tuple[int, SkillIdChunk | None]:
        if self._frame is None:
            self._frame = self._chosen(data)
        return (0, None) if self._frame is None else self._frame(data)

    def _chosen(self, data: memoryview) -> "_Walk | _WordFrame | None":
        if len(data) < TEXT_HEAD.size:
            return None
        _, id_length = TEXT_HEAD.unpack_from(data)
        place = TEXT_HEAD.size + id_length + SPARE.size
        if len(data) < place + FIELD_LENGTH.size:
            return None
        (length,) = FIELD_LENGTH.unpack_from(data, place)
        if length <= 0 or length % WORD:
            raise ValueError("a COPY record has an embedding of unexpected length")
        return (_Walk if self._kind == "text" else _WordFrame)(self._kind, length)


class _WordFrame:
    """Records with ids of fixed size: every part starts at a four-byte boundary."""

    def __init__(self, kind: Kind, embedding_bytes: int) -> None:
        self._walk = _Walk(kind, embedding_bytes)
        self._id_bytes = ID_BYTES[kind]
        self._id_type = ID_TYPES[kind]
        self._spare = (ID_START + self._id_bytes) // WORD + 1
        # The first word of the embedding, or of the skill ids without one.
        self._body = self._spare + 2
        self._dimension = embedding_bytes // WORD
        self._has_embedding = embedding_bytes > 0
        self._head = self._body + (
            embedding_bytes // WORD + 1 if self._has_embedding else 0
        )
        self._first_word = ENTRY_FIRST_WORD if self._has_embedding else FIRST_WORD

    def __call__(self, data: memoryview) -> tuple[int, SkillIdChunk | None]:
        count = len(data) // WORD
        words = np.frombuffer(data, dtype="<u4", count=count)
        first = self._candidates(words)
        if len(first) == 0:
            return 0, None
        sizes = words[first + self._head - 1].byteswap() // WORD
        ends = first + self._head + sizes
        if first[0] != 0 or (ends[:-1] != first[1:]).any():
            # Some skill ids look like the head of a record: rare, so the slow way.
            return self._walk(data)
        complete = int(np.searchsorted(ends, count, side="right"))
        if complete == 0:
            return 0, None
        first, sizes = first[:complete], sizes[:complete]
        batch = self._batch(data, words, first, sizes.astype(np.intp))
        return int(ends[complete - 1]) * WORD, batch

    def _candidates(self, words: NDArray[np.uint32]) -> NDArray[np.intp]:
        """Possible starts of records: all real ones, and rarely others."""
        room = len(words) - self._head + 1
        if room <= 0:
            return np.empty(0, dtype=np.intp)
        found = np.flatnonzero(words[:room] == self._first_word)
        starts: NDArray[np.intp] = found[words[found + self._spare] == SPARE_WORD]
        return starts

    def _batch(
        self,
        data: memoryview,
        words: NDArray[np.uint32],
        first: NDArray[np.intp],
        sizes: NDArray[np.intp],
    ) -> SkillIdChunk:
        octets = np.frombuffer(data, dtype=np.uint8)
        places = (first * WORD + ID_START)[:, None] + np.arange(self._id_bytes)
        ids = _native(octets[places].view(self._id_type)[:, 0])
        starts = np.zeros(len(first), dtype=np.intp)
        np.cumsum(sizes[:-1], out=starts[1:])
        own = np.arange(sizes.sum()) + np.repeat(first + self._head - starts, sizes)
        skill_ids = words[own].astype(np.int32)
        if not self._has_embedding:
            return SkillIdChunk(ids, skill_ids, starts)
        windows = np.lib.stride_tricks.sliding_window_view(words, self._dimension)
        embeddings = windows[first + self._body].view("<f4")
        return EntryChunk(ids, skill_ids, starts, embeddings)


class _Walk:
    """Decodes record by record: for ids of variable size, and ambiguous heads."""

    def __init__(self, kind: Kind, embedding_bytes: int) -> None:
        self._id_type = ID_TYPES.get(kind)
        self._dimension = embedding_bytes // WORD
        self._has_embedding = embedding_bytes > 0
        self._fields = FIELDS + self._has_embedding
        # The bytes between the id and the length of the skill ids.
        self._gap = SPARE.size + (
            FIELD_LENGTH.size + embedding_bytes if self._has_embedding else 0
        )

    def __call__(self, data: memoryview) -> tuple[int, SkillIdChunk | None]:
        ids: list[bytes] = []
        embeddings: list[bytes] = []
        lists: list[NDArray[np.int32]] = []
        used = 0
        for id_, embedding, listed, end in self._records(data):
            ids.append(id_)
            embeddings.append(embedding)
            lists.append(np.frombuffer(listed, dtype="<i4"))
            used = end
        if not ids:
            return 0, None
        sizes = [len(skill_ids) for skill_ids in lists]
        starts = np.concatenate([[0], np.cumsum(sizes[:-1])]).astype(np.intp)
        column = np.array(ids)
        if self._id_type:
            column = np.frombuffer(b"".join(ids), self._id_type)
        column = _native(column)
        skill_ids = np.concatenate(lists)
        if not self._has_embedding:
            return used, SkillIdChunk(column, skill_ids, starts)
        matrix = np.frombuffer(b"".join(embeddings), "<f4").reshape(-1, self._dimension)
        return used, EntryChunk(column, skill_ids, starts, matrix)

    def _records(
        self, data: memoryview
    ) -> Iterator[tuple[bytes, bytes, memoryview, int]]:
        """(id, embedding, skill ids, end) of each complete record in `data`."""
        position = 0
        while position + TEXT_HEAD.size <= len(data):
            fields, id_length = TEXT_HEAD.unpack_from(data, position)
            if fields != self._fields:
                raise ValueError("a COPY record has an unexpected number of fields")
            id_start = position + TEXT_HEAD.size
            id_end = id_start + id_length
            start = id_end + self._gap + FIELD_LENGTH.size
            if start > len(data):
                return
            end = start + FIELD_LENGTH.unpack_from(data, start - FIELD_LENGTH.size)[0]
            if end > len(data):
                return
            embedding = data[
                id_end + SPARE.size + FIELD_LENGTH.size : start - FIELD_LENGTH.size
            ]
            yield bytes(data[id_start:id_end]), bytes(embedding), data[start:end], end
            position = end


def _native(ids: NDArray[Any]) -> NDArray[Any]:
    return ids.astype(np.int64) if ids.dtype.kind == "i" else ids
