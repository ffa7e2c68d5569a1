"""What an answer holds, and where its time went."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from app.errors import AppError
from app.query.ids import Id


@dataclass(frozen=True)
class Timings:
    """Where the time of a batch went, in milliseconds."""

    encode_ms: float
    scan_ms: float


@dataclass(frozen=True)
class Volume:
    """What a batch read from the table."""

    rows: int
    bytes: int

    def __add__(self, other: "Volume") -> "Volume":
        return Volume(self.rows + other.rows, self.bytes + other.bytes)


class AbandonedError(Exception):
    """Nobody waits for this batch any more."""


class BatchObserver(Protocol):
    """Is told of every finished batch, on the thread of the batch."""

    def batch_done(self, queries: int, volume: Volume, timings: Timings) -> None: ...


@dataclass
class Stopwatch:
    """Adds up the milliseconds spent in the parts of a batch."""

    spent_ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.spent_ms[part] = (time.perf_counter() - start) * 1000

    def timings(self) -> Timings:
        return Timings(
            encode_ms=self.spent_ms.get("encode", 0.0),
            scan_ms=self.spent_ms.get("scan", 0.0),
        )


@dataclass(frozen=True)
class Pair:
    """A skill of the query, and the most similar skill of the row."""

    skill: str
    other: str
    similarity: float


@dataclass(frozen=True)
class Explanation:
    """`score` is the share of the query's skills that the row has, rare ones counting
    for more, less what a longer list costs; `coverage` the share of the row's skills
    that the query has; the lists are in the query's order.
    """

    score: float
    coverage: float
    matched: Sequence[Pair] = ()
    close: Sequence[Pair] = ()
    missing: Sequence[str] = ()


@dataclass(frozen=True)
class Hit:
    """A row that fits.

    `similarity_score` is the cosine similarity of the whole
    texts, None where an embedding is pending; `explanation` is None where nobody asked
    for it, or where the row's skills are still to be split; `match_score` is that of a
    ranking with reasons, None of any other.
    """

    id: Id
    text: str | None
    similarity_score: float | None
    explanation: Explanation | None = None
    columns: Mapping[str, object] | None = None
    match_score: float | None = None


@dataclass(frozen=True)
class Result:
    """The best hits, best first, ties by id.

    `analyzed`: rows compared; `pending`: rows with a text that could not be compared
    yet. `message`: one sentence where there is something to say. `next_cursor`: goes
    on after the last hit; None where there are no more.
    """

    hits: Sequence[Hit]
    analyzed: int
    timings: Timings
    pending: int = 0
    message: str | None = None
    next_cursor: str | None = None


Outcome = Result | AppError
