"""Weights by rarity: reproducible to the last digit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.ranking.skills.idf import (
    REMEMBERED,
    are_weights,
    cached_idf_weights,
    query_weights,
)
from app.ranking.skills.vocabulary import Vocabulary, encode_rows
from app.storage.skill_counts import SkillCounts


def near(count: int, seed: int) -> NDArray[np.float32]:
    """Unit vectors, many of them similar."""
    rng = np.random.default_rng(seed)
    themes = rng.standard_normal((3, 384))
    rows = themes[rng.integers(0, 3, count)] + 0.6 * rng.standard_normal((count, 384))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


def vocabulary_of(
    vectors: NDArray[np.float32], listed: list[int] | None, jobs: int
) -> Vocabulary:
    codes, exact = encode_rows(vectors)
    counts = (
        None if listed is None else SkillCounts(jobs, np.array(listed, dtype=np.int32))
    )
    return Vocabulary(codes, exact, float(codes["error"].max()), counts)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 400),
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=6),
    seed=st.integers(0, 2**31),
)
def test_weights_are_the_same_to_the_last_bit_alone_and_in_company(
    rows: int, sizes: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    vocabulary = vocabulary_of(
        near(rows, seed), rng.integers(0, 50_000, rows).tolist(), 100_000
    )
    queries = near(sum(sizes), seed + 1)
    columns = np.split(rng.permutation(sum(sizes)), np.cumsum(sizes)[:-1])
    table = vocabulary.similarities(queries)
    together = query_weights(vocabulary, table, columns)
    for own, weights in zip(columns, together, strict=True):
        (alone,) = cached_idf_weights(vocabulary, queries[own], [np.arange(len(own))])
        assert weights.tobytes() == alone.tobytes()
        assert weights.sum() == pytest.approx(1)
        assert (weights > 0).all()
        single = vocabulary.similarities(queries[own[:1]])
        assert single[:, 0].tobytes() == table[:, own[0]].tobytes()


def test_cached_weights_equal_computed_ones() -> None:
    rng = np.random.default_rng(3)
    vocabulary = vocabulary_of(near(300, 3), rng.integers(0, 999, 300).tolist(), 1000)
    queries = near(30, 4)
    everyone = [np.arange(30)]
    (first,) = cached_idf_weights(vocabulary, queries[:20], [np.arange(20)])
    assert len(vocabulary.rarities) == 20
    (again,) = cached_idf_weights(vocabulary, queries, everyone)
    (fresh,) = query_weights(vocabulary, vocabulary.similarities(queries), everyone)
    assert again.tobytes() == fresh.tobytes()
    (same,) = cached_idf_weights(vocabulary, queries[:20], [np.arange(20)])
    assert same.tobytes() == first.tobytes()


def test_new_counts_clear_the_cached_weights() -> None:
    vocabulary = vocabulary_of(near(5, 5), [1, 2, 3, 4, 5], 10)
    cached_idf_weights(vocabulary, near(5, 5), [np.arange(5)])
    counted = replace(vocabulary, counts=SkillCounts(20, np.arange(5, dtype=np.int32)))
    assert not counted.rarities


def test_the_cache_of_weights_is_limited() -> None:
    vocabulary = vocabulary_of(near(5, 6), [1, 2, 3, 4, 5], 10)
    for seed, asked in enumerate([400, 400, 400, REMEMBERED + 400, 1]):
        cached_idf_weights(vocabulary, near(asked, seed), [np.arange(asked)])
        assert 0 < len(vocabulary.rarities) <= REMEMBERED


def test_a_rare_skill_counts_for_more_and_an_unknown_one_as_its_relatives_do() -> None:
    eye = np.eye(3, 384, dtype=np.float32)
    vocabulary = vocabulary_of(eye, [0, 999, 9], 1000)
    relative = (eye[1] + 0.2 * eye[2]) / np.float32(np.sqrt(1.04))
    unlike = np.eye(1, 384, 7, dtype=np.float32)
    queries = np.vstack([eye[1:], relative[None], unlike])
    (weights,) = cached_idf_weights(vocabulary, queries, [np.arange(4)])
    common, rare, akin, unknown = weights.tolist()
    # The square root of log(1 + 1000 / (1 + frequency)).
    assert rare / common == pytest.approx(
        (np.log(1 + 1000 / 10) / np.log(1 + 1000 / 1000)) ** 0.5, rel=5e-3
    )
    assert common < akin < rare < unknown
    assert unknown / common == pytest.approx((np.log(1001) / np.log(2)) ** 0.5, 5e-3)


@pytest.mark.parametrize("jobs", [None, 0])
def test_without_counts_all_skills_count_alike(jobs: int | None) -> None:
    rows = near(5, 1)
    vocabulary = vocabulary_of(rows, None if jobs is None else [], 0)
    (weights,) = cached_idf_weights(vocabulary, rows, [np.array([3, 1, 2])])
    assert weights.tolist() == [1 / 3] * 3


def test_skills_newer_than_the_counts_and_counts_without_a_row_do_no_harm() -> None:
    rows = near(6, 2)
    known = vocabulary_of(rows, [5, 5, 5], 10)
    (few,) = cached_idf_weights(known, rows[:2], [np.arange(2)])
    counts = SkillCounts(10, np.array([5, 5, 5, 0, 0, 0, 7, 7], np.int32))
    (many,) = cached_idf_weights(
        replace(known, counts=counts), rows[:2], [np.arange(2)]
    )
    assert few.tolist() == many.tolist()


def test_the_greatest_product_of_codes_is_exact_in_float32() -> None:
    # One grid cell everywhere: codes of 127, and a query that points the same way.
    rows = np.full((1, 384), 384**-0.5, np.float32)
    vocabulary = vocabulary_of(rows, None, 0)
    found = vocabulary.similarities(rows)[0, 0]
    whole = 384 * 127 * int(np.rint(rows[0, 0] * 4096))
    scale = vocabulary.codes["scale"][0] / np.float32(4096)
    assert whole < 2**24
    assert found == np.float32(whole) * scale


@pytest.mark.parametrize(
    "weights", [[0.5, 0.5], [0.5, 0.5, 0.5], [2.0, -1.0, 0.0], [np.nan, 0.5, 0.5]]
)
def test_invalid_weights_are_refused(weights: list[float]) -> None:
    assert not are_weights(np.array(weights), 3)
