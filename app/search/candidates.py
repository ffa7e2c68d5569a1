"""The records of `app.storage.vectors.stream_nearest`: candidates by question."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.scan.records import DIMENSION, EMBEDDING_BYTES, Batch, CopyReader
from app.scan.topn import RESCORE_ROWS

FIELDS = 5  # question, full, last, job_id, embedding
# The count of fields, then for the first three a length and a value each.
HEAD = struct.Struct(">h i i i ? i ?")
LENGTH = struct.Struct(">i")
INTEGER = struct.Struct(">q")

# The question of the record that says that rows without a vector exist.
VECTORLESS = -1
# The length of a null: the embedding is that of the record before.
NULL = -1


@dataclass
class Candidates:
    """What came for one question."""

    # `full`: as many as were asked for; `last`: others beyond them may belong too.
    full: bool = False
    last: bool = False
    ids: list[Any] = field(default_factory=list)
    embeddings: list[bytes] = field(default_factory=list)

    def matrix(self) -> NDArray[np.float32]:
        """(n, 384): their embeddings."""
        return _matrix(self.embeddings)


class Gathered:
    """Gathers the candidates of all questions of one COPY."""

    def __init__(self, questions: int, *, integer_ids: bool) -> None:
        self.of = [Candidates() for _ in range(questions)]
        self.vectorless = False
        self.rows = 0
        self._integer_ids = integer_ids
        self.reader: CopyReader[None] = CopyReader(self._frame, lambda _: None)

    def batches(self) -> Iterator[tuple[NDArray[np.int64], Batch]]:
        """All candidates, some at a time, as a scan would have read them; before each
        batch the question of each of its rows.
        """
        rows = (
            (question, id_, embedding)
            for question, found in enumerate(self.of)
            for id_, embedding in zip(found.ids, found.embeddings, strict=True)
        )
        while part := list(islice(rows, RESCORE_ROWS)):
            question, ids, embeddings = zip(*part, strict=True)
            yield np.array(question), Batch(np.array(ids), _matrix(embeddings))

    def _frame(self, data: memoryview) -> tuple[int, None]:
        used = 0
        while (end := self._record(data, used)) is not None:
            used = end
        return used, None

    def _record(self, data: memoryview, start: int) -> int | None:
        """Take the record at `start`; its end, or None where it is not complete."""
        position = start + HEAD.size
        if position + LENGTH.size > len(data):
            return None
        fields, _, question, _, full, _, last = HEAD.unpack_from(data, start)
        if fields != FIELDS:
            raise ValueError("a COPY record has an unexpected number of fields")
        if question == VECTORLESS:
            end = position + 2 * LENGTH.size  # two nulls
            self.vectorless |= end <= len(data)
            return end if end <= len(data) else None
        id_length: int = LENGTH.unpack_from(data, position)[0]
        position += LENGTH.size
        embedding = position + id_length + LENGTH.size
        if embedding > len(data):
            return None
        is_copy = LENGTH.unpack_from(data, embedding - LENGTH.size)[0] == NULL
        end = embedding if is_copy else embedding + EMBEDDING_BYTES
        if end > len(data):
            return None
        raw = bytes(data[position : position + id_length])
        found = self.of[question]
        found.full, found.last = full, last
        found.ids.append(INTEGER.unpack(raw)[0] if self._integer_ids else raw)
        found.embeddings.append(
            found.embeddings[-1] if is_copy else bytes(data[embedding:end])
        )
        self.rows += 1
        return end


def _matrix(embeddings: Sequence[bytes]) -> NDArray[np.float32]:
    return np.frombuffer(b"".join(embeddings), "<f4").reshape(-1, DIMENSION)
