"""Constraints compared with a filtered full sort."""

import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.query.constraints import Constraints, CursorPosition
from app.query.ids import IdColumn
from app.ranking.top_k.bounds import Bounds, Scored
from app.ranking.top_k.cosine import CosineTopK
from app.ranking.top_k.heap import TopK
from app.storage.copy.embeddings import EmbeddingChunk

Row = tuple[Any, float, float]


def unit(count: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, 384))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 120),
    size=st.integers(1, 40),
    chunk=st.integers(1, 60),
    twins=st.integers(1, 40),
    seed=st.integers(0, 2**31),
)
def test_pages_after_one_another_are_the_whole_answer(
    count: int, size: int, chunk: int, twins: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    ids = rng.permutation(count).astype(np.int64)
    rows = unit(twins, seed)[rng.integers(0, twins, count)]  # equal scores abound
    query = unit(1, seed + 1)

    def best(wanted: int, bounds: Bounds) -> list[Scored]:
        # A second query, without bounds, shares the scan.
        top = CosineTopK(
            np.vstack([query, query]), [wanted, 3], bounds=[bounds, Bounds()]
        )
        for start in range(0, count, chunk):
            part = slice(start, start + chunk)
            top.update(EmbeddingChunk(ids[part], rows[part]))
        assert [row.id for row in top.result(1)] == [row.id for row in whole[:3]]
        return top.result(0)

    whole: list[Scored] = []
    whole = best_of_all(query, ids, rows)
    pages: list[Scored] = []
    while page := best(size, Bounds(after=pages[-1] if pages else None)):
        assert len(page) == min(size, count - len(pages))
        pages += page
    assert pages == whole


def best_of_all(query: np.ndarray, ids: np.ndarray, rows: np.ndarray) -> list[Scored]:
    top = CosineTopK(query, [max(1, len(ids))])
    top.update(EmbeddingChunk(ids, rows))
    return top.result(0)


KINDS: dict[str, Callable[[int], Any]] = {
    "integer": lambda n: n - 50,
    "uuid": lambda n: uuid.UUID(int=n << 120).bytes,  # ends in zero bytes
    "text": lambda n: b"job-%d" % n,
}


@settings(max_examples=100, deadline=None)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    levels=st.integers(1, 30),
    least=st.none() | st.floats(-1, 1).map(lambda x: round(x, 6)),
    excluded=st.sets(st.integers(0, 120)),
    after=st.none() | st.integers(0, 99),
    size=st.integers(1, 60),
    chunk=st.integers(1, 100),
    seed=st.integers(0, 2**31),
)
def test_the_top_k_within_constraints_equals_a_filtered_sort(
    *,
    kind: str,
    levels: int,
    least: float | None,
    excluded: set[int],
    after: int | None,
    size: int,
    chunk: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    raw = [KINDS[kind](int(n)) for n in rng.permutation(100)]
    ids = np.array(raw, dtype="S16" if kind == "uuid" else None)
    exact = rng.choice(rng.uniform(-1, 1, levels), 100)
    seconds = rng.choice(rng.uniform(0, 1, 3), 100)
    margin = 0.05
    rough = (exact + rng.uniform(-margin, margin, 100) * 0.99).astype(np.float32)
    table = sorted(
        zip(ids.tolist(), np.round(exact, 6), np.round(seconds, 6), strict=True),
        key=lambda row: (-row[1], -row[2], row[0]),
    )
    last = (
        None
        if after is None
        else Scored(raw_of(table[after][0], kind), *table[after][1:])
    )
    bounds = Bounds(
        least=-np.inf if least is None else least,
        after=last,
        excluded=[KINDS[kind](n) for n in excluded],
    )
    best = TopK([size], margin=margin, bounds=[bounds])
    for start in range(0, 100, chunk):
        part = slice(start, start + chunk)
        scores = rough[None, part].copy()
        query, row = best.candidates(scores, ids[part])
        at = start + row
        best.keep(query, ids[at], exact[at], seconds[at])

    gone = {np.array(KINDS[kind](n)).item() for n in excluded}
    expected = [
        row
        for place, row in enumerate(table)
        if (least is None or row[1] >= least)
        and row[0] not in gone
        and (after is None or place > after)
    ][:size]
    got = [(row.id, row.score, row.second) for row in best.result(0)]
    assert got == expected


def raw_of(id_: Any, kind: str) -> Any:
    return id_.ljust(16, b"\0") if kind == "uuid" else id_


def test_a_score_that_is_published_as_the_least_one_is_enough() -> None:
    best = TopK([9], margin=0.001, bounds=[Bounds(least=0.812345)])
    exact = np.array([0.8123454, 0.8123446, 0.8123444])
    query, row = best.candidates(exact[None].astype(np.float32), np.arange(3))
    best.keep(query, row, exact[row])
    assert [(row.id, row.score) for row in best.result(0)] == [
        (0, 0.812345),
        (1, 0.812345),
    ]


def test_the_last_row_of_a_page_does_not_come_again_with_another_last_digit() -> None:
    best = TopK([9], margin=0.001, bounds=[Bounds(after=Scored(7, 0.5))])
    exact = np.array([0.499999, 0.499999])
    best.keep(np.zeros(2, np.int64), np.array([7, 8]), exact)
    assert [row.id for row in best.result(0)] == [8]


@pytest.mark.parametrize(
    ("kind", "given_ids", "raw"),
    [
        ("integer", {7, "8", "x", 2**63}, {7, 8}),
        ("text", {7, "8", "a\x00"}, {b"7", b"8"}),
        ("uuid", {str(uuid.UUID(int=1)), "x"}, {uuid.UUID(int=1).bytes}),
    ],
)
def test_ids_are_understood_as_anywhere_else_and_impossible_ones_left_aside(
    kind: Any, given_ids: set[int | str], raw: set[int | bytes]
) -> None:
    constraints = Constraints(
        exclude=frozenset(given_ids), after=CursorPosition(0.5, 0.25, "8")
    )
    bounds = Bounds.of(constraints, IdColumn(kind))
    assert set(bounds.excluded) == raw
    assert (bounds.after is None) == (kind == "uuid")


def test_a_cursor_goes_on_behind_its_row_by_score_second_score_and_id() -> None:
    after = CursorPosition(0.5, 0.25, "8", b"state")
    bounds = Bounds.of(Constraints(min_score=0.1, after=after), IdColumn("integer"))
    assert bounds.after == Scored(8, 0.5, 0.25)
    assert bounds.least == 0.1
    assert Bounds.of(Constraints(), IdColumn("integer")).least == -np.inf
