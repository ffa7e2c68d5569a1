"""Why a row fits: which of the query's skills it has, nearly has, and lacks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.scan.best import DECIMALS
from app.skills.weights import FLOOR, MATCHED, SURPLUS_PRICE, discounts, weighted, worth


@dataclass(frozen=True)
class Pair:
    """A skill of the query, and the most similar skill of the row."""

    skill: str
    other: str
    similarity: float


@dataclass(frozen=True)
class Explanation:
    """`score` is the share of the query's skills that the row has, rare ones counting
    for more, less what a longer list costs; `coverage` the share of the row's skills
    that the query has; the lists are in the query's order.
    """

    score: float
    coverage: float
    matched: Sequence[Pair] = ()
    close: Sequence[Pair] = ()
    missing: Sequence[str] = ()


def explain(
    skills: Sequence[str],
    vectors: NDArray[np.float32],  # (k, 384), of `skills`
    others: Sequence[str],
    other_vectors: NDArray[np.float32],  # (n, 384), of `others`
    *,
    weights: NDArray[np.float64] | None = None,  # (k,), of `skills`; None: all alike
    price: float = SURPLUS_PRICE,
) -> Explanation:
    """Compare a query's skills with a row's, both with vectors of unit length."""
    if not skills or not others:
        return Explanation(0.0, 0.0, missing=tuple(skills))
    # Not by BLAS: the same digits as in SkillTopN, which scores many rows at once.
    similarities = (
        np.einsum("ij,kj->ik", other_vectors, vectors, dtype=np.float64, optimize=False)
        .astype(np.float32)
        .astype(np.float64)
    )
    best = similarities.max(axis=0)
    pairs = [
        Pair(skill, others[int(at)], round(float(similarity), DECIMALS))
        for skill, at, similarity in zip(
            skills, similarities.argmax(axis=0), best, strict=True
        )
    ]
    if weights is None:
        weights = np.full(len(skills), 1 / len(skills))
    share = weighted(worth(best)[None, :], weights)[0]
    left = discounts(len(skills), price=price, sizes=len(others))[-1]
    return Explanation(
        score=round(float(share * left), DECIMALS),
        coverage=round(float(worth(similarities.max(axis=1)).mean()), DECIMALS),
        matched=[pair for pair in pairs if pair.similarity >= MATCHED],
        close=[pair for pair in pairs if FLOOR <= pair.similarity < MATCHED],
        missing=[pair.skill for pair in pairs if pair.similarity < FLOOR],
    )
