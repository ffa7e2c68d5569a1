"""Rankings by skills that hold everything in memory and spare no work: a loop in Python
over every row, in float64.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from app.encoder import Encoder
from app.skills.split import split_skills

FLOOR, SAME, PRICE = 0.6, 0.99999, 0.15


class NaiveRows:
    """Rows by id, and the vectors of their skills."""

    def __init__(self, encoder: Encoder, rows: Mapping[int, str]) -> None:
        self._encoder = encoder
        keys = {id_: _keys(text) for id_, text in rows.items()}
        distinct = list(dict.fromkeys(key for row in keys.values() for key in row))
        vectors = dict(zip(distinct, _unit(encoder, distinct), strict=True))
        # (n, 384) float64 of each row that has skills
        self._rows = {
            id_: np.array([vectors[key] for key in row])
            for id_, row in keys.items()
            if row
        }

    def best(
        self, text: str, *, size: int, price: float = PRICE
    ) -> list[tuple[int, float]]:
        """(id, score) of the best rows: each skill of each row against each of `text`,
        equal scores by coverage, then by id.
        """
        query = _unit(self._encoder, _keys(text))
        scored = []
        for id_, row in self._rows.items():
            score, coverage = naive_scores(query, row, price=price)
            scored.append((-round(score, 6), -round(coverage, 6), id_))
        return [(id_, -score) for score, _, id_ in sorted(scored)[:size]]


def naive_ranking(
    encoder: Encoder,
    text: str,
    rows: Mapping[int, str],
    *,
    size: int,
    price: float = PRICE,
) -> list[tuple[int, float]]:
    """(id, score) of the best rows for one text."""
    return NaiveRows(encoder, rows).best(text, size=size, price=price)


def naive_scores(
    query: NDArray[np.float64],  # (k, 384)
    row: NDArray[np.float64],  # (n, 384)
    *,
    price: float = PRICE,
) -> tuple[float, float]:
    """Score and coverage of one row."""
    worth = np.clip((query @ row.T - FLOOR) / (SAME - FLOOR), 0, 1)
    surplus = max(0, len(row) - len(query))
    share = float(worth.max(axis=1).mean())
    return share / (1 + price * math.log2(1 + surplus)), float(worth.max(axis=0).mean())


def _keys(text: str) -> Sequence[str]:
    return [skill.key for skill in split_skills(text)]


def _unit(encoder: Encoder, keys: Sequence[str]) -> NDArray[np.float64]:
    """(n, 384)"""
    vectors = encoder.encode(keys).astype(np.float64)
    unit: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
