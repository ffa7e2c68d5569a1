"""Search steps over an index that stands in for the database's: what is kept of the
candidates, and which queries need another step.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from app.batching.batcher import BatchScope
from app.deadline import Deadline
from app.errors import DatabaseUnavailableError
from app.query.constraints import Constraints, CursorPosition
from app.query.ids import IdColumn
from app.query.query import Query
from app.query.result import AbandonedError
from app.ranking.retrieval import index_search
from app.ranking.retrieval.base import SearchRequest
from app.ranking.retrieval.index_search import IndexSearch
from app.ranking.retrieval.search_params import DEEP, EXACT, NEAR
from app.ranking.top_k.heap import Scored
from app.storage.connection.transaction import Sink, Transaction
from app.storage.copy.candidates import HEAD, NULL, VECTORLESS
from app.storage.copy.embeddings import END_OF_DATA, SIGNATURE
from app.storage.vectors import NearestQuery, VectorQuery
from tests.support.queries import profile_query

HEADER = SIGNATURE + struct.pack(">II", 0, 0)
NO_TRANSACTION = cast("Transaction", None)
# (1, 384): every test's query.
AHEAD = np.eye(1, 384, dtype=np.float32)


def at(cosine: float, axis: int = 1) -> NDArray[np.float32]:
    """(384,) of unit length with this cosine to AHEAD."""
    row = np.zeros(384)
    row[0], row[axis] = cosine, np.sqrt(1 - cosine**2)
    return row.astype(np.float32)


@dataclass
class Index:
    """Answers as the statement `candidates` does, of rows with ids from 0; `sees`: how
    many of the nearest it finds at most without being exact.
    """

    embeddings: NDArray[np.float32]  # (n, 384)
    sees: int = 10_000
    vectorless: bool = False
    asked: list[Sequence[NearestQuery]] = field(default_factory=list)
    is_cut_off: bool = False

    def stream_nearest(
        self,
        _transaction: Transaction,
        sink: Sink,
        *,
        asked: Sequence[NearestQuery],
        hnsw: object,
        **_: Any,
    ) -> None:
        self.asked.append(asked)
        sink.write(HEADER)
        if self.vectorless:
            sink.write(_record(VECTORLESS, False, False, NULL, None))
        for number, near in enumerate(asked):
            for record in self._candidates(number, near, is_exact=hnsw is None):
                sink.write(record)
        if not self.is_cut_off:
            sink.write(END_OF_DATA)

    def _candidates(
        self, number: int, near: NearestQuery, *, is_exact: bool
    ) -> Sequence[bytes]:
        scores = self.embeddings.astype(np.float64) @ near.query
        beyond = np.inf if near.at_most is None else near.at_most + near.margin
        fitting = [
            n
            for n in np.argsort(-scores, kind="stable").tolist()
            if n not in near.excluded and scores[n] <= beyond
        ]
        found = fitting[: near.size if is_exact else min(near.size, self.sees)]
        if not found:
            return []
        bar = scores[found[near.wanted - 1]] if len(found) >= near.wanted else -np.inf
        least = bar - 2 * near.margin
        full, last = len(found) >= near.size, bool(scores[found[-1]] >= least)
        return [
            _record(number, full, last, n, self.embeddings[n].tobytes())
            for n in found
            if scores[n] >= least
        ]


def _record(
    question: int, full: bool, last: bool, id_: int, embedding: bytes | None
) -> bytes:
    values = (struct.pack(">q", id_), embedding, None)
    if question == VECTORLESS:
        values = (b"", None, None)
    return HEAD.pack(6, 4, question, 1, full, 1, last) + b"".join(
        struct.pack(">i", NULL)
        if value is None
        else struct.pack(">i", len(value)) + value
        for value in values
    )


def searched(
    index: Index,
    monkeypatch: pytest.MonkeyPatch,
    *queries: Query,
    is_abandoned: bool = False,
) -> IndexSearch:
    monkeypatch.setattr(index_search, "stream_nearest", index.stream_nearest)
    rows = cast("VectorQuery", SimpleNamespace(job_id=IdColumn("integer"), columns=()))
    vectors = AHEAD.repeat(len(queries), axis=0)
    return IndexSearch(
        NO_TRANSACTION,
        rows,
        SearchRequest(queries[0].key, queries, vectors),
        BatchScope(Deadline(at=np.inf), abandoned=lambda: is_abandoned),
    )


def query(top_k: int, **constraints: Any) -> Query:
    return profile_query(top_k, text="any", constraints=Constraints(**constraints))


def ladder(count: int) -> NDArray[np.float32]:
    """(count, 384): row n has the cosine 1 - n / 100."""
    return np.stack([at(1 - n / 100) for n in range(count)])


def ids(ranked: Sequence[Scored]) -> list[int]:
    return [row.id for row in ranked]


def test_one_step_ranks_what_an_index_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    search = searched(Index(ladder(90)), monkeypatch, query(3), query(5))
    search.go(NEAR)
    assert search.open == []
    ranked = search.ranked()
    assert ranked[0] == [Scored(0, 1.0), Scored(1, 0.99), Scored(2, 0.98)]
    assert ids(ranked[1]) == [0, 1, 2, 3, 4]
    assert not search.vectorless


def test_too_few_candidates_leave_a_query_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """NEAR wants 20 rows beyond the 3: with one less others may have been missed."""
    for sees, is_open in ((22, True), (23, False)):
        search = searched(Index(ladder(90), sees=sees), monkeypatch, query(3))
        search.go(NEAR)
        assert (search.open == [0]) == is_open


def test_an_exact_step_settles_with_all_rows_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search = searched(Index(ladder(5), sees=0), monkeypatch, query(7))
    search.go(NEAR)
    assert search.open == [0]
    search.go(EXACT)
    assert search.open == []
    assert ids(search.ranked()[0]) == [0, 1, 2, 3, 4]


def test_more_ties_than_candidates_need_the_deep_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tied = np.stack([at(0.9, axis=n + 1) for n in range(40)])
    others = np.stack([at(0.5 - n / 1000) for n in range(400)])
    index = Index(np.concatenate([tied, others]))
    search = searched(index, monkeypatch, query(3), query(30))
    search.go(NEAR)
    assert search.open == [0]
    search.go(DEEP)
    assert search.open == []
    assert ids(search.ranked()[0]) == [0, 1, 2]
    # The query that was settled is not asked again.
    assert [len(asked) for asked in index.asked] == [1, 1, 1]


def test_the_deep_step_is_only_for_queries_with_ties(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index = Index(ladder(90), sees=5)
    search = searched(index, monkeypatch, query(3))
    search.go(NEAR)
    search.go(DEEP)
    assert search.open == [0]
    assert len(index.asked) == 1


def test_an_exact_query_asks_no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index(ladder(90))
    search = searched(index, monkeypatch, profile_query(3, text="any", exact=True))
    search.go(NEAR)
    search.go(DEEP)
    assert (search.open, index.asked) == ([0], [])
    search.go(EXACT)
    assert ids(search.ranked()[0]) == [0, 1, 2]


# --- pages -------------------------------------------------------------------

# 24 rows tie at 0.9, and rows from 24 on have 0.6, 0.59, …
TIES = 24
TIED = np.concatenate(
    [np.stack([at(0.9, axis=n + 1) for n in range(TIES)]), ladder(90)[40:]]
)
# Two pages of ten ended with row 19, whose score four later rows have as well.
SEEN = CursorPosition(0.9, 0.0, 19)


@pytest.mark.parametrize(
    ("least", "expected"),
    [
        (None, [20, 21, 22, 23, 24, 25, 26, 27, 28, 29]),
        (0.2, [20, 21, 22, 23, 24, 25, 26, 27, 28, 29]),
        (0.575, [20, 21, 22, 23, 24, 25, 26]),
        (0.7, [20, 21, 22, 23]),
    ],
)
def test_rows_of_pages_before_take_no_places_on_a_later_page(
    monkeypatch: pytest.MonkeyPatch, least: float | None, expected: list[int]
) -> None:
    index = Index(TIED)
    search = searched(index, monkeypatch, query(10, after=SEEN, min_score=least))
    for step in (NEAR, DEEP, EXACT):
        search.go(step)
    assert search.open == []
    assert ids(search.ranked()[0]) == expected


def test_a_short_page_whose_minimum_score_is_reached_needs_no_other_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Ten ties, of which six were seen; the candidates go down to 0.51.
    index = Index(TIED[TIES - 10 :])
    after = CursorPosition(0.9, 0.0, 5)
    search = searched(index, monkeypatch, query(10, after=after, min_score=0.575))
    search.go(NEAR)
    assert search.open == []
    assert ids(search.ranked()[0]) == [6, 7, 8, 9, 10, 11, 12]


def test_a_page_goes_on_after_its_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    after = CursorPosition(0.95, 0.0, 5)
    search = searched(Index(ladder(90)), monkeypatch, query(3, after=after))
    search.go(NEAR)
    assert search.ranked()[0] == [Scored(6, 0.94), Scored(7, 0.93), Scored(8, 0.92)]


def test_excluded_rows_take_no_places(monkeypatch: pytest.MonkeyPatch) -> None:
    exclude = frozenset({0, 2, "4", "no id of an integer column"})
    search = searched(Index(ladder(90)), monkeypatch, query(3, exclude=exclude))
    search.go(NEAR)
    assert ids(search.ranked()[0]) == [1, 3, 5]


# --- the stream --------------------------------------------------------------


def test_the_index_tells_of_rows_without_a_vector(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search = searched(Index(ladder(90), vectorless=True), monkeypatch, query(3))
    search.go(NEAR)
    assert search.vectorless
    assert ids(search.ranked()[0]) == [0, 1, 2]


def test_nobody_waits_and_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index(ladder(90))
    search = searched(index, monkeypatch, query(3), is_abandoned=True)
    with pytest.raises(AbandonedError):
        search.go(NEAR)
    assert index.asked == []


def test_a_stream_without_its_end_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    search = searched(Index(ladder(90), is_cut_off=True), monkeypatch, query(3))
    with pytest.raises(DatabaseUnavailableError, match="ended its answer early"):
        search.go(NEAR)
