"""Reference implementation of the ranking by skills: every skill, in float64."""

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
        listed = {id_: row for id_, row in keys.items() if row}
        self._ids = list(listed)
        self._sizes = np.array([len(row) for row in listed.values()])
        # (m, 384) float64: the skills of the first row, of the second, …
        self._exact = np.array([vectors[key] for row in listed.values() for key in row])
        self._rounded = _rounded(self._exact)
        self._jobs = jobs or self

    def weights(
        self,
        query: NDArray[np.float64],  # (k, 384)
    ) -> NDArray[np.float64]:
        """(k,): the weight of each skill, from every skill of every row.

        Uses rounded vectors: exact ones change a score by 2e-5.
        """
        asked = np.rint(query * 4096) / 4096
        match_credit = _match_credit(asked @ self._rounded.T)
        inverse = 1 + len(self._ids) / (1 + match_credit.sum(axis=1))
        rare = np.log(inverse) ** RARITY
        weights: NDArray[np.float64] = rare / rare.sum()
        return weights

    def best(
        self, text: str, *, size: int, length_penalty: float = PRICE
    ) -> list[tuple[int, float]]:
        """(id, score) of the best rows for `text`, ties by coverage, then by id."""
        query = _unit(self._encoder, skill_keys(text))
        match_credit = _match_credit(query @ self._exact.T)  # (k, m)
        starts = np.cumsum(self._sizes) - self._sizes
        best = np.maximum.reduceat(match_credit, starts, axis=1)  # (k, rows)
        surplus = np.maximum(0, self._sizes - len(query))
        scores = self._jobs.weights(query) @ best
        scores /= 1 + length_penalty * np.log2(1 + surplus)
        coverage = np.add.reduceat(match_credit.max(axis=0), starts) / self._sizes
        scored = [
            (-round(score, 6), -round(covered, 6), id_)
            for score, covered, id_ in zip(
                scores.tolist(), coverage.tolist(), self._ids, strict=True
            )
        ]
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


def _match_credit(similarities: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 to 1, of the same shape."""
    return np.clip((similarities - FLOOR) / (SAME - FLOOR), 0, 1)


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
