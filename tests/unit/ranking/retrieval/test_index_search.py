"""The two steps over an index that stands in for the database's: what is kept of the
candidates, and which queries need the second.
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
from app.ranking.retrieval.index_search import LEAST_WANTED, IndexSearch
from app.ranking.retrieval.search_params import EXACT, NEAR
from app.ranking.top_k.heap import Scored
from app.storage.connection.transaction import Sink, Transaction
from app.storage.copy.embeddings import END_OF_DATA, SIGNATURE
from app.storage.vectors import NearestQuery, VectorQuery, read_spares
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
    many of the nearest it finds at most without being exact. `vectorless`: rows that
    have no vector yet, with ids from 1000.
    """

    embeddings: NDArray[np.float32]  # (n, 384)
    sees: int = 10_000
    vectorless: Sequence[NDArray[np.float32]] = ()
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
        for number, row in enumerate(self.vectorless):
            sink.write(_record(-1, 1000 + number, row))
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
        is_full, is_last = len(found) >= near.size, bool(scores[found[-1]] >= least)
        spare = 4 * number + 2 * is_last + is_full
        return [
            _record(spare, n, self.embeddings[n]) for n in found if scores[n] >= least
        ]


def _record(spare: int, id_: int, embedding: NDArray[np.float32]) -> bytes:
    floats = embedding.tobytes()
    return struct.pack(">hiqihi", 3, 8, id_, 2, spare, len(floats)) + floats


def searched(
    index: Index,
    monkeypatch: pytest.MonkeyPatch,
    *queries: Query,
    is_abandoned: bool = False,
) -> IndexSearch:
    monkeypatch.setattr(index_search, "stream_nearest", index.stream_nearest)
    rows = cast("VectorQuery", SimpleNamespace(job_id=IdColumn("integer")))
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
    """(count, 384): row n has the cosine 0.9 - n / 100, and no two are alike."""
    return np.stack([at(0.9 - n / 100, axis=n + 1) for n in range(count)])


def ids(ranked: Sequence[Scored]) -> list[int]:
    return [row.id for row in ranked]


def test_one_step_ranks_what_an_index_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    search = searched(Index(ladder(90)), monkeypatch, query(3), query(5))
    search.go(NEAR)
    assert search.open == []
    ranked = search.ranked
    assert ranked[0] == [Scored(0, 0.9), Scored(1, 0.89), Scored(2, 0.88)]
    assert ids(ranked[1]) == [0, 1, 2, 3, 4]


def test_too_few_candidates_need_another_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """NEAR wants ten at least, and 20 beyond: with one less some may be missed."""
    for sees, is_open in ((29, True), (30, False)):
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
    assert ids(search.ranked[0]) == [0, 1, 2, 3, 4]


def test_ties_beyond_the_candidates_of_an_index_are_left_at_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tied = np.stack([at(0.9, axis=n + 1) for n in range(40)])
    index = Index(np.concatenate([tied, np.stack([at(0.5)] * 90)]))
    search = searched(index, monkeypatch, query(3))
    search.go(NEAR)
    assert search.open == []
    assert ids(search.ranked[0]) == [0, 1, 2]


def test_the_exact_step_is_wider_for_those_who_tie_beyond_its_candidates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tied = np.stack([at(0.9 - n / 1e6) for n in range(500)])[::-1]
    index = Index(np.concatenate([tied, ladder(90)[30:]]), sees=0)
    search = searched(index, monkeypatch, query(3), query(450))
    search.go(EXACT)
    assert search.open == [0]  # more than 403 are within the error of the third
    search.go(EXACT.wider())
    assert search.open == []
    assert ids(search.ranked[0]) == [499, 498, 497]
    # The query that was settled is not asked again.
    assert [len(asked) for asked in index.asked] == [1, 1, 1]


# --- repeats -----------------------------------------------------------------


def repeated(texts: int, copies: int) -> NDArray[np.float32]:
    """(texts * copies, 384), best text first; copies have a cosine of 0.96."""
    rows = []
    for text in range(texts):
        for copy in range(copies):
            row = np.zeros(384)
            row[0] = 0.9 - text / 100 - copy / 1e4
            row[1 + text] = np.sqrt(0.96 - row[0] ** 2)
            row[41 + text * copies + copy] = 0.2
            rows.append(row)
    return np.array(rows, np.float32)


@pytest.mark.parametrize(
    ("texts", "copies", "repeats"),
    [(1, 40, 16), (8, 5, 8), (10, 4, 4), (20, 2, None), (40, 1, None)],
)
def test_a_search_is_widened_where_the_rows_repeat_one_another(
    monkeypatch: pytest.MonkeyPatch, texts: int, copies: int, repeats: int | None
) -> None:
    index = Index(repeated(texts, copies))
    search = searched(index, monkeypatch, query(10))
    search.go(NEAR)
    assert (search.open == [0]) == (repeats is not None)
    search.widen(NEAR)
    assert search.open == []
    assert ids(search.ranked[0]) == list(range(10))
    assert [near.repeats for asked in index.asked for near in asked] == [
        times for times in (1, repeats) if times
    ]


def test_equal_rows_are_one_in_an_index_and_repeat_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = np.concatenate([ladder(1).repeat(20, axis=0), ladder(30)[1:]])
    search = searched(Index(rows), monkeypatch, query(10))
    search.go(NEAR)
    assert search.open == []


# --- pages -------------------------------------------------------------------

# 24 rows tie at 0.9, and rows from 24 on have 0.6, 0.59, …
TIES = 24
TIED = np.concatenate(
    [np.stack([at(0.9, axis=n + 1) for n in range(TIES)]), ladder(90)[30:]]
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
    for step in (NEAR, EXACT):
        search.go(step)
    assert search.open == []
    assert ids(search.ranked[0]) == expected


def test_a_short_page_whose_minimum_score_is_reached_needs_no_other_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Ten ties, of which six were seen; the candidates go down to 0.51.
    index = Index(TIED[TIES - 10 :])
    after = CursorPosition(0.9, 0.0, 5)
    search = searched(index, monkeypatch, query(10, after=after, min_score=0.575))
    search.go(NEAR)
    assert search.open == []
    assert ids(search.ranked[0]) == [6, 7, 8, 9, 10, 11, 12]


def test_a_page_goes_on_after_its_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    after = CursorPosition(0.85, 0.0, 5)
    search = searched(Index(ladder(90)), monkeypatch, query(3, after=after))
    search.go(NEAR)
    assert search.ranked[0] == [Scored(6, 0.84), Scored(7, 0.83), Scored(8, 0.82)]


def test_excluded_rows_take_no_places(monkeypatch: pytest.MonkeyPatch) -> None:
    exclude = frozenset({0, 2, "4", "no id of an integer column"})
    search = searched(Index(ladder(90)), monkeypatch, query(3, exclude=exclude))
    search.go(NEAR)
    assert ids(search.ranked[0]) == [1, 3, 5]


# --- the stream --------------------------------------------------------------


def test_rows_without_a_vector_are_compared_for_every_query(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index = Index(
        ladder(90), vectorless=[at(0.895, axis=99), np.zeros(384, np.float32)]
    )
    search = searched(index, monkeypatch, query(3), query(5))
    search.go(NEAR)
    assert [ids(ranked) for ranked in search.ranked] == [
        [0, 1000, 1],
        [0, 1000, 1, 2, 3],
    ]
    assert search.unusable == 1


def test_the_spare_field_holds_a_question_and_what_came_for_it() -> None:
    found = read_spares(np.array([-1, 0, 3, 4 * 1023 + 2], ">i2"))
    assert found.question.tolist() == [-1, 0, 0, 1023]
    assert found.is_full[1:].tolist() == [False, True, False]
    assert found.is_last[1:].tolist() == [False, True, True]


def test_an_abandoned_batch_does_not_query_the_index(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index = Index(ladder(90))
    search = searched(index, monkeypatch, query(3), is_abandoned=True)
    with pytest.raises(AbandonedError):
        search.go(NEAR)
    assert index.asked == []


def test_a_stream_without_its_end_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    search = searched(Index(ladder(90), is_cut_off=True), monkeypatch, query(3))
    with pytest.raises(DatabaseUnavailableError, match="ended its response early"):
        search.go(NEAR)


def test_the_index_is_asked_for_a_direction_and_no_better_than_the_page_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index = Index(ladder(80))
    first, later = query(3), query(3, after=CursorPosition(0.85, 0.0, 5))
    search = searched(index, monkeypatch, first, later)
    search.go(NEAR)
    asked = [near for group in index.asked for near in group]
    assert [near.at_most for near in asked] == [None, 0.85 + 0.5e-6]
    for near in asked:
        assert np.linalg.norm(near.query) == pytest.approx(1, abs=1e-12)
        assert near.size == near.wanted + NEAR.oversampling
        assert near.margin == NEAR.margin
    assert asked[0].wanted == LEAST_WANTED
    assert asked[1].wanted > LEAST_WANTED


def test_the_rows_of_all_chunks_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    # 64 KB hold some 40 rows.
    search = searched(Index(ladder(80)), monkeypatch, query(70))
    search.go(EXACT)
    assert ids(search.ranked[0]) == [*range(70)]
    assert search.volume.rows == 70
    assert search.volume.bytes > 70 * 1536
