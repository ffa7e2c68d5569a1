"""Scores of explanations, with simple vectors."""

import numpy as np
import pytest
from numpy.typing import NDArray

from app.ranking.skills.explain import cosine, explain

Vector = NDArray[np.float32]


def vector(*head: float) -> Vector:
    """(384,) float32: these numbers, padded with zeros."""
    row = np.zeros(384, np.float32)
    row[: len(head)] = head
    return row


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (vector(3, 4), 0.6),
        (vector(15, 20), 0.6),  # a stored vector need not be of unit length
        (vector(0.03, 0.04), 0.6),
        (vector(-3, 4), -0.6),
        (vector(0, 2), 0.0),
        (vector(1e-20), 1.0),  # its square is not lost
    ],
)
@pytest.mark.parametrize("length", [1.0, 5.0, 1e-3])
def test_lengths_do_not_change_a_cosine(
    other: Vector, expected: float, length: float
) -> None:
    found = cosine(vector(length), other)
    assert found == pytest.approx(expected, abs=1e-6)
    back = cosine(other, vector(length))
    assert back == pytest.approx(expected, abs=1e-6)


def test_a_cosine_has_six_digits() -> None:
    assert cosine(vector(1), vector(1, 2)) == 0.447214


@pytest.mark.parametrize(
    "other", [None, vector(), vector(np.nan), vector(np.inf), vector(1, -np.inf)]
)
def test_a_zero_vector_has_no_cosine(other: Vector | None) -> None:
    assert cosine(vector(1), other) is None


def test_the_vectors_that_are_compared_stay_as_they_are() -> None:
    a, b = vector(3, 4), vector(5)
    cosine(a, b)
    assert (a == vector(3, 4)).all()
    assert (b == vector(5)).all()


def test_each_skill_is_paired_with_the_most_similar_one_of_the_row() -> None:
    mine = np.stack([vector(1), vector(0, 1), vector(0, 0, 1)])
    theirs = np.stack([vector(0, 0.6, 0.8), vector(0.8, 0.6), vector(1)])
    why = explain(["a", "b", "c"], mine, ["x", "y", "z"], theirs)
    pairs = {p.skill: (p.other, p.similarity) for p in [*why.matched, *why.close]}
    assert pairs["a"] == ("z", 1.0)
    # Of equal ones the first in the row's text.
    assert pairs["b"] == ("x", 0.6)
    assert pairs["c"] == ("x", 0.8)
    assert why.missing == []
