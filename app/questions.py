"""What is asked and answered, as values; what a pass cost. No database, no HTTP."""

import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from app.query.ids import Id
from app.selection import EVERYTHING, Selection


@dataclass(frozen=True)
class Question:
    """Which jobs fit this user, or these skills. Exactly one of the two is set."""

    top_n: int
    user_id: Id | None = None
    skills: str | None = None
    selection: Selection = EVERYTHING
    # Compare all rows, also where an index could choose candidates.
    exact: bool = False
    # Rather a CrowdedError than a search that takes many times as long as most.
    quick: bool = False

    @property
    def pass_key(self) -> Hashable:
        """Who reads the same rows can share a pass; a quick look into an index does
        not wait for an exact scan, nor for a long search.
        """
        return ("similarity", self.selection.scan_key, self.exact, self.quick)


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


class PassObserver(Protocol):
    """Is told of every pass that came to its end, on the thread of the pass."""

    def pass_done(self, questions: int, volume: Volume, timings: Timings) -> None: ...


class AbandonedError(Exception):
    """Nobody waits for this pass any more."""


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
