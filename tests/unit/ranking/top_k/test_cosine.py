"""The running top-k compared with a full sort."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ranking.top_k.cosine import CosineTopK
from app.storage.copy.embeddings import EmbeddingChunk


def unit(count: int, seed: int, dimension: int = 384) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, dimension))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


def full_sort(
    query: np.ndarray, ids: np.ndarray, rows: np.ndarray, size: int
) -> list[tuple[object, float]]:
    """Cosine similarities of all rows in float64, sorted by (-score, id)."""
    exact = rows.astype(np.float64)
    scores = exact @ query.astype(np.float64) / np.linalg.norm(exact, axis=1)
    scores = np.round(scores / np.linalg.norm(query.astype(np.float64)), 6)
    order = sorted(range(len(ids)), key=lambda i: (-scores[i], ids[i]))[:size]
    return [(ids[i].item(), float(scores[i])) for i in order]


def feed(top: CosineTopK, ids: np.ndarray, rows: np.ndarray, sizes: list[int]) -> None:
    start = 0
    while start < len(ids):
        size = sizes.pop() if sizes else len(ids)
        top.update(
            EmbeddingChunk(ids[start : start + size], rows[start : start + size])
        )
        start += size


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 400),
    sizes=st.lists(st.integers(1, 120), min_size=1, max_size=5),
    chunks=st.lists(st.integers(1, 150), max_size=8),
    twins=st.integers(1, 50),
    seed=st.integers(0, 2**31),
    dimension=st.sampled_from([384, 3, 1024]),
)
def test_it_equals_a_full_sort_however_the_stream_is_cut(
    *,
    count: int,
    sizes: list[int],
    chunks: list[int],
    twins: int,
    seed: int,
    dimension: int,
) -> None:
    rng = np.random.default_rng(seed)
    ids = rng.permutation(count).astype(np.int64)
    # Each row has about `count / twins` copies, some longer: equal scores abound.
    rows = unit(twins, seed, dimension)[rng.integers(0, twins, count)]
    rows *= rng.choice([1, 2, 8], (count, 1)).astype(np.float32)
    queries = unit(len(sizes), seed + 1, dimension)

    top = CosineTopK(queries, sizes)
    feed(top, ids, rows, chunks)

    assert top.analyzed == count
    for number, size in enumerate(sizes):
        got = [(row.id, row.score) for row in top.result(number)]
        assert got == full_sort(queries[number], ids, rows, size)


def test_a_result_does_not_depend_on_the_batch() -> None:
    ids, rows, queries = np.arange(3000), unit(3000, 1), unit(64, 2)
    together = CosineTopK(queries, [10] * 64)
    feed(together, ids, rows, [1000, 1000])
    for number in range(64):
        alone = CosineTopK(queries[number : number + 1], [10])
        feed(alone, ids, rows, [77, 300])
        assert alone.result(0) == together.result(number)


def test_f24_and_f25_rows_that_point_nowhere_are_counted_and_never_ranked() -> None:
    rows = unit(8, 3)
    rows[1, 5] = np.nan
    rows[2, 5] = np.inf
    rows[3] = 0
    rows[4] = 1e30  # its squared norm overflows float32
    rows[5] = 1e-20  # its squared norm underflows
    top = CosineTopK(unit(1, 4), [10])
    top.update(EmbeddingChunk(np.arange(8), rows))
    assert sorted(row.id for row in top.result(0)) == [0, 6, 7]
    assert (top.analyzed, top.unusable) == (3, 5)


def test_f26_equal_scores_are_ordered_by_id_even_across_batches() -> None:
    row = unit(1, 5)
    top = CosineTopK(row, [2])
    for id_ in (9, 3, 7, 1):
        top.update(EmbeddingChunk(np.array([id_]), row))
    assert [row.id for row in top.result(0)] == [1, 3]


@pytest.mark.parametrize("ids", [[b"b", b"aa", b"a"], [b"\x02", b"\x01\x01", b"\x01"]])
def test_text_and_uuid_ids_are_ordered_by_their_bytes(ids: list[bytes]) -> None:
    row = unit(1, 5)
    top = CosineTopK(row, [3])
    for id_ in ids:
        top.update(EmbeddingChunk(np.array([id_]), row))
    assert [scored.id for scored in top.result(0)] == sorted(ids)


def test_f27_fewer_rows_than_wanted_are_all_returned() -> None:
    top = CosineTopK(unit(2, 1), [10, 2])
    top.update(EmbeddingChunk(np.arange(3), unit(3, 2)))
    assert [len(top.result(0)), len(top.result(1))] == [3, 2]


def test_f28_no_rows_give_an_empty_result() -> None:
    assert CosineTopK(unit(1, 1), [10]).result(0) == []
