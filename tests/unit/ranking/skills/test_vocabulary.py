"""Codes of vectors: errors within their bound."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ranking.skills.vocabulary import Vocabulary, encode_rows, grid_of


def unit(count: int, seed: int, dimension: int = 384) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, dimension)) ** 3
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


def vocabulary_of(vectors: np.ndarray) -> Vocabulary:
    codes, exact = encode_rows(vectors)
    return Vocabulary(codes, exact, float(codes["error"].max()))


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 300),
    k=st.integers(1, 70),
    seed=st.integers(0, 2**31),
    dimension=st.sampled_from([384, 5, 768, 2048]),
)
def test_no_similarity_is_off_by_more_than_the_bound(
    rows: int, k: int, seed: int, dimension: int
) -> None:
    vectors, queries = unit(rows, seed, dimension), unit(k, seed + 1, dimension)
    vocabulary = vocabulary_of(vectors)
    found = vocabulary.similarities(queries)
    off = np.abs(found[:-1] - vectors.astype(np.float64) @ queries.T.astype(np.float64))
    assert off.max() <= vocabulary.similarity_error(queries)
    assert (found[-1] == 0).all()


@pytest.mark.parametrize("dimension", [1, 384, 768, 1024, 1025, 4096])
def test_products_of_codes_are_integers_that_float32_has(dimension: int) -> None:
    grid = grid_of(dimension)
    # The longest codes, in the direction of the longest rounded query.
    query = np.full(dimension, np.rint(grid / dimension**0.5) + 0.5)
    assert 127 * query.sum() < 2**24
    assert (dimension == 384) <= (grid == 4096)


def test_ids_without_a_row_and_vectors_that_point_nowhere_are_like_nothing() -> None:
    vectors = unit(4, 1)
    vectors[1], vectors[2, 0] = 0, np.nan
    vocabulary = vocabulary_of(vectors)
    ids = np.array([-1, 0, 1, 2, 3, 4, 2**31 - 1], np.int32)
    assert vocabulary.known(ids).tolist() == [4, 0, 1, 2, 3, 4, 4]
    present = vocabulary.vectors(ids).any(axis=1)
    assert present.tolist() == [False, True, False, False, True, False, False]
    scores = vocabulary.similarities(unit(3, 2))
    assert (scores[[1, 2]] == 0).all()


def test_vectors_of_any_length_are_brought_to_unit_length() -> None:
    vectors = unit(3, 1)
    _, exact = encode_rows(vectors * np.float32(7))
    np.testing.assert_allclose(exact, vectors, atol=1e-6)
