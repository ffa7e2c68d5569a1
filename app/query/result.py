"""What an answer holds, and where its time went."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from app.query.ids import Id


@dataclass(frozen=True)
class Recommendation:
    """One job: its id, the cosine similarity of its text, the text, and the columns
    that are offered, if any are.
    """

    job_id: Id
    similarity_score: float
    skills: str | None
    columns: Mapping[str, object] | None = None


@dataclass(frozen=True)
class Timings:
    """Where the time of a pass went, in milliseconds."""

    encode_ms: float
    scan_ms: float


@dataclass(frozen=True)
class Volume:
    """What a pass read from the table."""

    rows: int
    bytes: int

    def __add__(self, other: "Volume") -> "Volume":
        return Volume(self.rows + other.rows, self.bytes + other.bytes)


@dataclass(frozen=True)
class Answer:
    """The best jobs, highest similarity first, equal ones by id. `next_cursor` goes on
    after them; None where there are no more.
    """

    recommendations: Sequence[Recommendation]
    total_jobs_analyzed: int
    total_jobs_pending: int
    timings: Timings
    note: str | None = None
    next_cursor: str | None = None


class BatchObserver(Protocol):
    """Is told of every pass that came to its end, on the thread of the pass."""

    def batch_done(self, questions: int, volume: Volume, timings: Timings) -> None: ...


@dataclass
class Stopwatch:
    """Adds up the milliseconds spent in the parts of a pass."""

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
class Match:
    """A job or a user that fits. `similarity_score` is the cosine similarity of the
    whole texts, None where an embedding is pending; `explanation` is None where the
    skills are.
    """

    id: Id
    text: str | None
    similarity_score: float | None
    explanation: Explanation | None
    columns: Mapping[str, object] | None = None


@dataclass(frozen=True)
class SkillAnswer:
    """The best rows, best first: by match score, coverage, id. `next_cursor` goes on
    after them; None where there are no more.
    """

    matches: Sequence[Match]
    total_analyzed: int
    timings: Timings
    note: str | None = None
    total_pending: int = 0
    next_cursor: str | None = None
