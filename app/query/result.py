"""The result of a query, and the timings of its batch."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from app.errors import AppError
from app.query.ids import Id

Relevance: TypeAlias = Literal["strong", "possible", "weak"]


@dataclass(frozen=True)
class Timings:
    """The time spent in the parts of a batch, in milliseconds."""

    encode_ms: float
    scan_ms: float


@dataclass(frozen=True)
class Volume:
    """The rows and bytes that a batch read from the database."""

    rows: int
    bytes: int

    def __add__(self, other: "Volume") -> "Volume":
        return Volume(self.rows + other.rows, self.bytes + other.bytes)


class AbandonedError(Exception):
    """All requests of the batch were cancelled."""


class BatchObserver(Protocol):
    """Called after every batch, on the thread that ran it."""

    def batch_done(self, queries: int, volume: Volume, timings: Timings) -> None: ...


@dataclass
class Stopwatch:
    """Measures the parts of a batch, in milliseconds."""

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
    """A skill of the query and the most similar skill of the row."""

    skill: str
    other: str
    similarity: float


@dataclass(frozen=True)
class Explanation:
    """Why a row fits a query.

    `score`: the share of the query's skills that the row has, weighted by rarity, minus
    the length penalty. `coverage`: the share of the row's skills that the query has.
    The lists are in the order of the query.
    """

    score: float
    coverage: float
    matched: Sequence[Pair] = ()
    close: Sequence[Pair] = ()
    missing: Sequence[str] = ()


@dataclass(frozen=True)
class Parts:
    """What each part contributes to the score of the hybrid ranking, their sum."""

    text: float
    skills: float
    words: float


@dataclass(frozen=True)
class Thresholds:
    """Least scores of a ranking, as published: from `strong` on at least two of three
    hits are right, from `possible` on about every other.
    """

    possible: float
    strong: float

    def times(self, factor: float) -> "Thresholds":
        """Thresholds of scores that are higher by this factor."""
        return Thresholds(self.possible * factor, self.strong * factor)

    def relevance(self, score: float) -> Relevance:
        """What a hit with this score is."""
        if score >= self.strong:
            return "strong"
        return "possible" if score >= self.possible else "weak"


@dataclass(frozen=True)
class Hit:
    """One row of a result.

    `similarity_score`: the cosine similarity of the whole texts; None while an
    embedding is pending. `explanation`: None if it was not requested, or while the
    row's skills are pending. `match_score`: None unless the ranking explains its hits.
    `repeats`: near-repeats that take no place of their own; None unless the query is
    distinct. `relevance`: None unless the ranking has thresholds. `parts`: None unless
    the ranking is hybrid. `because`: the liked job that is most similar, if feedback
    raised this one's score. `factor`: what freshness and boosts multiplied the score
    by; None without.
    """

    id: Id
    text: str | None
    similarity_score: float | None
    explanation: Explanation | None = None
    columns: Mapping[str, object] | None = None
    match_score: float | None = None
    repeats: Sequence[Id] | None = None
    relevance: Relevance | None = None
    parts: Parts | None = None
    because: Id | None = None
    factor: float | None = None


@dataclass(frozen=True)
class Result:
    """The best hits, best first, ties by id.

    `analyzed`: the number of rows compared. `pending`: rows with a text but without an
    embedding yet. `message`: one sentence for the client, if any. `next_cursor`: the
    cursor of the next page; None on the last one. `left_out`: the number of jobs left
    out because of the user's feedback. `lacks_profile`: nothing was compared, because
    nothing is known of the user. `liked`: the number of jobs that pulled the user's
    profile towards them. `thresholds`: of the scores by this model; None where they are
    the ranking's.
    """

    hits: Sequence[Hit]
    analyzed: int
    timings: Timings
    pending: int = 0
    message: str | None = None
    next_cursor: str | None = None
    left_out: int = 0
    lacks_profile: bool = False
    liked: int = 0
    thresholds: Thresholds | None = None


Outcome = Result | AppError
