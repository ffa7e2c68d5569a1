"""Reference implementations of the ranking by skills: loops in float64."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from app.encoder import Encoder
from app.ranking.skills.parse import split_skills
from app.ranking.skills.synonyms import as_spelled_out, built_in

FLOOR, SAME, PRICE, RARITY = 0.6, 0.99999, 0.15, 0.5


class NaiveRows:
    """Rows by id, and the vectors of their skills.

    `jobs`: the rows in which skills are counted; by default these rows.
    """

    def __init__(
        self,
        encoder: Encoder,
        rows: Mapping[int, str],
        *,
        jobs: "NaiveRows | None" = None,
    ) -> None:
        self._encoder = encoder
        keys = {id_: skill_keys(text) for id_, text in rows.items()}
        distinct = list(dict.fromkeys(key for row in keys.values() for key in row))
        vectors = dict(zip(distinct, _unit(encoder, distinct), strict=True))
        # (n, 384) float64 of each row that has skills
        self._rows = {
            id_: np.array([vectors[key] for key in row])
            for id_, row in keys.items()
            if row
        }
        self._listed = _rounded(np.vstack([*self._rows.values()]))  # (m, 384) float64
        self._jobs = jobs or self

    def weights(
        self,
        query: NDArray[np.float64],  # (k, 384)
    ) -> NDArray[np.float64]:
        """(k,): the weight of each skill, from every skill of every row.

        Uses rounded vectors: exact ones change a score by 2e-5.
        """
        asked = np.rint(query * 4096) / 4096
        match_credit = np.clip((asked @ self._listed.T - FLOOR) / (SAME - FLOOR), 0, 1)
        inverse = 1 + len(self._rows) / (1 + match_credit.sum(axis=1))
        rare = np.log(inverse) ** RARITY
        weights: NDArray[np.float64] = rare / rare.sum()
        return weights

    def best(
        self, text: str, *, size: int, length_penalty: float = PRICE
    ) -> list[tuple[int, float]]:
        """(id, score) of the best rows for `text`, ties by coverage, then by id."""
        query = _unit(self._encoder, skill_keys(text))
        weights = self._jobs.weights(query)
        scored = []
        for id_, row in self._rows.items():
            score, coverage = naive_scores(
                query, row, weights, length_penalty=length_penalty
            )
            scored.append((-round(score, 6), -round(coverage, 6), id_))
        # A row that has nothing of what is asked for is no match.
        found = sorted(row for row in scored if row[0] < 0)
        return [(id_, -score) for score, _, id_ in found[:size]]


def naive_ranking(
    encoder: Encoder,
    text: str,
    rows: Mapping[int, str],
    *,
    size: int,
    length_penalty: float = PRICE,
    jobs: Mapping[int, str] | None = None,
) -> list[tuple[int, float]]:
    """(id, score) of the best rows for one text; `jobs` as in `NaiveRows`."""
    counted = None if jobs is None else NaiveRows(encoder, jobs)
    return NaiveRows(encoder, rows, jobs=counted).best(
        text, size=size, length_penalty=length_penalty
    )


def naive_scores(
    query: NDArray[np.float64],  # (k, 384)
    row: NDArray[np.float64],  # (n, 384)
    weights: NDArray[np.float64],  # (k,)
    *,
    length_penalty: float = PRICE,
) -> tuple[float, float]:
    """Score and coverage of one row."""
    match_credit = np.clip((query @ row.T - FLOOR) / (SAME - FLOOR), 0, 1)
    surplus = max(0, len(row) - len(query))
    share = float(match_credit.max(axis=1) @ weights)
    return share / (1 + length_penalty * math.log2(1 + surplus)), float(
        match_credit.max(axis=0).mean()
    )


def _rounded(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rounded to 127 steps in both directions, with a float32 step size."""
    step = (np.abs(vectors).max(axis=1, keepdims=True) / 127).astype(np.float32)
    rounded: NDArray[np.float64] = np.rint(vectors / step) * step
    return rounded


def skill_keys(text: str) -> Sequence[str]:
    """As `split_texts` without synonyms of the team's own."""
    skills = as_spelled_out(split_skills(text))
    return [skill.key for skill in built_in().canonical(skills)]


def _unit(encoder: Encoder, keys: Sequence[str]) -> NDArray[np.float64]:
    """(n, 384)"""
    vectors = encoder.encode(keys).astype(np.float64)
    unit: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
