"""Reference implementation of the hybrid ranking: all rows, loops in float64.

It implements the formula of docs/decisions/0012-hybrid-ranking.md independently of the
service's code.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from app.encoder import Encoder
from app.ranking.skills.stems import words_of
from tests.support.naive import RARITY, SAME, NaiveRows, skill_keys

FLOOR, POWER, UNKNOWN, PRICE = 0.2, 2.0, 0.5, 0.15
K1, B = 1.2, 0.75
COSINE, SKILLS, WORDS = 1.0, 2.0, 1.0


@cache
def stems(text: str) -> Sequence[str]:
    return words_of(text)


@dataclass(frozen=True)
class NaiveRow:
    """A row: its text, and its embedding and skills if they exist yet."""

    text: str
    is_embedded: bool = True
    is_split: bool = True

    @property
    def keys(self) -> Sequence[str]:
        return skill_keys(self.text) if self.is_split else ()


class NaiveHybrid:
    """Rows by id.

    `jobs`: the rows in which skills are counted; by default these rows, and none if the
    list is empty.
    """

    def __init__(
        self,
        encoder: Encoder,
        rows: Mapping[int, NaiveRow],
        *,
        jobs: Mapping[int, NaiveRow] | None = None,
        listed_by: int = 1,
        length_penalty: float = PRICE,
    ) -> None:
        self._encoder = encoder
        self._rows = rows
        counted = rows if jobs is None else jobs
        self._lists = [row.keys for row in counted.values() if row.keys]
        self._listed = Counter(key for keys in self._lists for key in keys)
        sizes = [len(stems(key)) for keys in self._lists for key in keys]
        self._mean = sum(sizes) / max(1, len(self._lists))
        self._listed_by = listed_by
        self._length_penalty = length_penalty
        self._vectors: dict[str, np.ndarray] = {}
        self._rarities = NaiveRows(
            encoder, {n: row.text for n, row in counted.items() if row.keys}
        )

    def best(
        self, text: str, *, size: int, prose: tuple[Sequence[str], ...] = ()
    ) -> list[tuple[int, float]]:
        """(id, score) of the best rows, ties by id.

        `prose`: the clauses of a text of sentences, and the skills that it mentions.
        """
        asked = [key for keys in prose for key in keys] or skill_keys(text)
        weights = self._rarities.weights(np.array([self._unit(key) for key in asked]))
        if prose:
            weights = weights * [len(stems(key)) for key in asked]
            weights /= weights.sum()
        words = list(dict.fromkeys(word for key in asked for word in stems(key)))
        left = self._open(prose[0] if prose else asked)
        scored = []
        for id_, row in self._rows.items():
            if not row.keys and not row.is_embedded:
                continue
            cosine = max(0.0, float(self._unit(text) @ self._unit(row.text)))
            score = (
                COSINE * left * (cosine if row.is_embedded else 0)
                + SKILLS * self._skills(asked, weights, row)
                + WORDS * self._words(words, row)
            ) / (COSINE * left + SKILLS + WORDS)
            scored.append((-round(score, 6), id_))
        # A row that has nothing of what is asked for is no match.
        found = sorted(row for row in scored if row[0] < 0)
        return [(id_, -score) for score, id_ in found[:size]]

    def _open(self, asked: Sequence[str]) -> float:
        board = [k for k, count in self._listed.items() if count >= self._listed_by]
        nearest = [
            max((float(self._unit(key) @ self._unit(o)) for o in board), default=0.0)
            for key in asked
        ]
        known = [min(max((n - UNKNOWN) / (SAME - UNKNOWN), 0), 1) for n in nearest]
        return 1 - sum(known) / len(known)

    def _skills(
        self, asked: Sequence[str], weights: np.ndarray, row: NaiveRow
    ) -> float:
        if not row.keys:
            return 0.0
        share = 0.0
        for key, weight in zip(asked, weights, strict=True):
            nearest = max(float(self._unit(key) @ self._unit(o)) for o in row.keys)
            share += (
                weight * min(max((nearest - FLOOR) / (SAME - FLOOR), 0), 1) ** POWER
            )
        surplus = max(0, len(row.keys) - len(asked))
        return share / (1 + self._length_penalty * math.log2(1 + surplus))

    def _words(self, words: Sequence[str], row: NaiveRow) -> float:
        held = [word for key in row.keys for word in stems(key)]
        length = len(held) / self._mean if self._mean else 1
        rare = [self._rarity(word) for word in words]
        score = 0.0
        for word, share in zip(words, rare, strict=True):
            count = held.count(word)
            score += share * count / (count + K1 * (1 - B + B * length))
        return score / (sum(rare) or 1)

    def _rarity(self, word: str) -> float:
        jobs = len(self._lists)
        held = sum(n for key, n in self._listed.items() if word in stems(key))
        return math.pow(math.log(1 + jobs / (1 + min(jobs, held))), RARITY)

    def _unit(self, text: str) -> np.ndarray:
        if text not in self._vectors:
            vector = self._encoder.encode([text])[0].astype(np.float64)
            self._vectors[text] = vector / np.linalg.norm(vector)
        return self._vectors[text]
