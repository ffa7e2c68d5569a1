"""The records of `app.storage.vectors.stream_nearest`: candidates by question."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.storage.codec import DIMENSION
from app.storage.copy.embeddings import CopyReader, EmbeddingChunk

CANDIDATE_FIELDS = 6  # question, full, last, job_id, embedding, shown
# The count of fields, then for the first three a length and a value each.
HEAD = struct.Struct(">h i i i ? i ?")
REST = 3
LENGTH = struct.Struct(">i")
INTEGER = struct.Struct(">q")

# The question of the record that says that rows without a vector exist.
VECTORLESS = -1
# The length of a null. As an embedding it is that of the record before.
NULL = -1


@dataclass
class Candidates:
    """What came for one question."""

    # `full`: as many as were asked for; `last`: others beyond them may belong too.
    full: bool = False
    last: bool = False
    ids: list[Any] = field(default_factory=list)
    embeddings: list[bytes] = field(default_factory=list)
    # Of each the JSON that `app.storage.jobs.job_from_json` reads, where it was asked.
    shown: list[bytes | None] = field(default_factory=list)

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

    def batches(self) -> Iterator[tuple[NDArray[np.int64], EmbeddingChunk]]:
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
            yield np.array(question), EmbeddingChunk(np.array(ids), _matrix(embeddings))

    def shown(self) -> dict[int | bytes, bytes]:
        """By id, where it came along."""
        return {
            id_: text
            for found in self.of
            for id_, text in zip(found.ids, found.shown, strict=True)
            if text is not None
        }

    def _frame(self, data: memoryview) -> tuple[int, None]:
        used = 0
        while (end := self._record(data, used)) is not None:
            used = end
        return used, None

    def _record(self, data: memoryview, start: int) -> int | None:
        """Take the record at `start`; its end, or None where it is not complete."""
        position = start + HEAD.size
        if position > len(data):
            return None
        fields, _, question, _, full, _, last = HEAD.unpack_from(data, start)
        if fields != CANDIDATE_FIELDS:
            raise ValueError("a COPY record has an unexpected number of fields")
        values: list[bytes | None] = []
        for _ in range(REST):
            if position + LENGTH.size > len(data):
                return None
            length: int = LENGTH.unpack_from(data, position)[0]
            position += LENGTH.size
            end = position + max(length, 0)
            values.append(None if length == NULL else bytes(data[position:end]))
            position = end
        if position > len(data):
            return None
        if question == VECTORLESS:
            self.vectorless = True
        else:
            self._keep(self.of[question], full, last, values)
        return position

    def _keep(
        self, found: Candidates, full: bool, last: bool, values: list[bytes | None]
    ) -> None:
        id_, embedding, shown = values
        assert id_ is not None  # noqa: S101  (the query leaves out rows without one)
        found.full, found.last = full, last
        # As NumPy keeps bytes: it drops the zeros at their end.
        own_id = INTEGER.unpack(id_)[0] if self._integer_ids else id_.rstrip(b"\0")
        found.ids.append(own_id)
        found.embeddings.append(
            found.embeddings[-1] if embedding is None else embedding
        )
        found.shown.append(shown)
        self.rows += 1


def _matrix(embeddings: Sequence[bytes]) -> NDArray[np.float32]:
    return np.frombuffer(b"".join(embeddings), "<f4").reshape(-1, DIMENSION)


# Candidates that are scored again at once: 512 x 384 float64 are 1.5 MB.
RESCORE_ROWS = 512
