"""Heads refuse rows, and never one that reaches the floor, whatever the basis is."""

import numpy as np
import pytest
from numpy.typing import NDArray

from app.ranking.top_k import codes, heads
from app.ranking.top_k.heads import HeadCosines, basis_of, head_width, headed
from tests.unit.ranking.retrieval.replica.test_codes_top_k import (
    KINDS,
    Kind,
    random_rows,
)

ROWS = 1500


def around_few_directions(count: int) -> NDArray[np.float32]:
    """As texts lie: most of what tells them apart is in few directions."""
    random = np.random.default_rng(3)
    directions = np.random.default_rng(4).standard_normal((40, 384))
    rows = random.standard_normal((count, 40)) @ directions
    return (rows + 0.3 * random.standard_normal((count, 384))).astype(np.float32)


def units_of(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    exact = vectors.astype(np.float64)
    units: NDArray[np.float64] = exact / np.linalg.norm(exact, axis=1, keepdims=True)
    return units


@pytest.mark.parametrize(
    "kind", [*KINDS, around_few_directions], ids=lambda kind: kind.__name__
)
@pytest.mark.parametrize("queries", [1, 3, 64])
@pytest.mark.parametrize("learnt", ["of the rows", "of one row", "of others"])
def test_no_row_that_reaches_the_floor_is_refused(
    monkeypatch: pytest.MonkeyPatch, kind: Kind, queries: int, learnt: str
) -> None:
    monkeypatch.setattr(codes, "WIDENED_ROWS", 64)
    monkeypatch.setattr(codes, "INTEGER_ROWS", 64)
    rows = kind(ROWS)
    of = {"of the rows": rows, "of one row": rows[:1], "of others": random_rows(99)}
    basis = basis_of(of[learnt])
    asked = np.concatenate([random_rows(queries), kind(ROWS)[:queries]])[-queries:]
    cosines = units_of(asked) @ units_of(rows).T
    floor = np.partition(cosines, -10, axis=1)[:, -10:-9]
    found = HeadCosines(units_of(asked).astype(np.float32), basis).reaching(
        headed(rows, basis), floor.astype(np.float32)
    )
    reaching = np.flatnonzero((cosines >= floor).any(axis=0))
    assert set(reaching) <= set(found.tolist())
    assert (np.diff(found) > 0).all()


def test_most_rows_of_few_directions_are_refused() -> None:
    rows, asked = around_few_directions(ROWS), around_few_directions(ROWS + 1)[-1:]
    basis = basis_of(rows[:300])
    floor = np.array([[0.6]], np.float32)
    cosines = HeadCosines(units_of(asked).astype(np.float32), basis)
    assert len(cosines.reaching(headed(rows, basis), floor)) < ROWS / 20


def test_a_query_outside_the_span_refuses_no_row() -> None:
    basis = np.eye(384, dtype=np.float32)[: heads.HEAD_WIDTH]
    asked = np.eye(384, dtype=np.float32)[-1:]
    rows = np.concatenate([asked, random_rows(20)])
    found = HeadCosines(asked, basis).reaching(
        headed(rows, basis), np.array([[0.99]], np.float32)
    )
    assert found.tolist() == list(range(21))


def test_a_vector_of_few_dimensions_is_its_own_head() -> None:
    assert head_width(8) == 8
    rows = random_rows(50)[:, :8]
    found = headed(rows, basis_of(rows))
    assert found.integers.shape == (50, 8)
    assert found.scales["rest"].max() < 1e-6
