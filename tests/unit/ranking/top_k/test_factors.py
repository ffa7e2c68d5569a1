"""The running top-k by scores that are multiplied by a factor of each row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ranking.top_k.bounds import Bounds, Scored
from app.ranking.top_k.factors import RowFactors, boosted
from app.ranking.top_k.heap import TopK
from app.storage.copy.factors import FactorChunk

ROWS = 100


def factors_of(ids: np.ndarray, values: np.ndarray) -> RowFactors:
    """In two chunks of another order."""
    order = np.random.default_rng(5).permutation(len(ids))
    parts = np.array_split(order, 2)
    return RowFactors([FactorChunk(ids[part], values[part]) for part in parts])


def test_each_row_has_its_own_factor_and_others_have_one() -> None:
    factors = RowFactors([FactorChunk(np.array([7, 3]), np.array([0.5, 2.0]))])
    assert factors.of(np.array([3, 4, 7, 99])).tolist() == [2.0, 1.0, 0.5, 1.0]
    assert factors.greatest == 2.0
    texts = np.array([b"a", b"long one"])
    factors = RowFactors([FactorChunk(texts, np.array([0.5, 0.25]))])
    assert factors.of(np.array([b"b", b"a"])).tolist() == [1.0, 0.5]
    assert factors.greatest == 1.0


def test_a_negative_score_is_not_raised_by_a_small_factor() -> None:
    found = boosted(np.array([-0.5, 0.0, 0.5, np.nan]), np.array([0.1, 2, 2, 1]))
    assert found[:3].tolist() == [-0.5, 0, 1.0]
    assert np.isnan(found[3])


@given(
    size=st.integers(1, 12),
    chunk=st.integers(1, ROWS),
    greatest=st.sampled_from([0.3, 1.0, 10.0]),
    spread=st.booleans(),
    after=st.none() | st.integers(0, ROWS - 1),
    seed=st.integers(0, 2**16),
)
def test_the_best_are_those_by_the_product_on_every_page(
    *,
    size: int,
    chunk: int,
    greatest: float,
    spread: bool,
    after: int | None,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    ids = rng.permutation(1000)[:ROWS]
    exact = rng.choice(rng.uniform(-0.5, 1, 20), ROWS)
    own = rng.choice(rng.uniform(0.1, greatest, 5), ROWS)
    margin = 0.02
    wide = rng.uniform(0, 0.3, ROWS).astype(np.float32)
    rough = exact + rng.uniform(-margin, margin, ROWS) * 0.99
    least = (rough - wide * rng.uniform(0, 1, ROWS) if spread else rough).astype("<f4")
    products = np.round(np.where(exact > 0, exact * own, exact), 6)
    table = sorted(
        zip(ids.tolist(), products.tolist(), own.tolist(), strict=True),
        key=lambda row: (-row[1], row[0]),
    )
    last = None if after is None else Scored(*table[after][:2])
    best = TopK(
        [size],
        margin=margin,
        bounds=[Bounds(after=last)],
        factors=factors_of(ids, own),
    )
    for start in range(0, ROWS, chunk):
        part = slice(start, start + chunk)
        query, row = best.candidates(
            least[None, part].copy(), ids[part], wide[part] if spread else None
        )
        best.keep(query, ids[part][row], exact[part][row])
    got = [(row.id, row.score, row.factor) for row in best.result(0)]
    expected = table[0 if after is None else after + 1 :][:size]
    assert [row[:2] for row in got] == [row[:2] for row in expected]
    assert [row[2] for row in got] == pytest.approx([row[2] for row in expected])
