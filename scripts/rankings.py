"""The ways of ranking that `make eval` compares: each gives a score to every row."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from evaluation import Dataset, Ranked, RememberingEncoder, Scores
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from app.ranking.skills.parse import split_skills
from app.ranking.skills.scoring import FLOOR, LENGTH_PENALTY, RARITY, SAME, discounts
from app.storage.jobs import RECORD_BYTES

Method = Callable[[], Iterator[Ranked]]

# How many of the best by one ranking another one orders again.
RERANKED = 200
BLENDED = 300
COLUMNS_AT_ONCE = 64
# Of a record of skill ids: the id, and the lengths of its fields.
RECORD_HEAD = 24


class BySkills:
    """Every skill of every row against every skill of a query, in several weightings.
    The similarities of each different skill are computed once for all queries.
    """

    def __init__(self, data: Dataset, encoder: RememberingEncoder) -> None:
        lists = [[skill.key for skill in split_skills(row)] for row in data.rows]
        keys = sorted({key for row in lists for key in row})
        place = {key: n for n, key in enumerate(keys)}
        self._ids = np.array([place[key] for row in lists for key in row])
        self._sizes = np.array([len(row) for row in lists])
        self._starts = np.concatenate([[0], np.cumsum(self._sizes[:-1])])
        queries = [[skill.key for skill in split_skills(q)] for q in data.queries]
        wanted = sorted({key for query in queries for key in query})
        column = {key: n for n, key in enumerate(wanted)}
        self._columns = [np.array([column[key] for key in query]) for query in queries]
        self._all = encoder.encode(keys)
        self._vectors = [encoder.encode(query) for query in queries]
        # (skills, wanted) and (rows, wanted) float32
        self._similarities = self._all @ encoder.encode(wanted).T
        self._best = np.hstack(
            [
                np.maximum.reduceat(part[self._ids], self._starts, axis=0)
                for part in np.array_split(
                    self._similarities, 1 + len(wanted) // COLUMNS_AT_ONCE, axis=1
                )
            ]
        )

    def ranked(
        self,
        *,
        floor: float = FLOOR,
        price: float = LENGTH_PENALTY,
        rarity: float = RARITY,
    ) -> Iterator[Ranked]:
        """As the service ranks, with these weights. `rarity`: the power of a skill's
        inverse document frequency with which it counts, 0 for all alike.
        """
        listed = np.bincount(self._ids, minlength=len(self._all))
        longest = int(self._sizes.max())
        for columns in self._columns:
            worth = _worth(self._best[:, columns], floor)  # (rows, k)
            near = _worth(self._similarities[:, columns].max(axis=1), floor)
            covered = np.add.reduceat(near[self._ids], self._starts) / self._sizes
            frequency = listed @ _worth(self._similarities[:, columns], floor)
            rare = np.log(1 + len(worth) / (1 + frequency)) ** rarity
            shares = worth @ (rare / rare.sum())
            left = discounts(len(columns), length_penalty=price, sizes=longest)[
                self._sizes
            ]
            yield Ranked(shares * left, covered, shares)

    def alone(self) -> Iterator[Ranked]:
        """The same, each query by itself from the vectors: what it costs."""
        for vectors in self._vectors:
            similarities = self._all @ vectors.T
            best = np.maximum.reduceat(similarities[self._ids], self._starts, axis=0)
            scores = _worth(best, FLOOR).mean(axis=1)
            yield Ranked(scores, scores, scores)


def _worth(similarity: NDArray[np.float32], floor: float) -> Scores:
    worth: Scores = np.clip(
        (similarity.astype(np.float64) - floor) / (SAME - floor), 0, 1
    )
    return worth


def by_words(data: Dataset) -> Iterator[Ranked]:
    """Keyword search: TF-IDF of words, by cosine."""
    vectorizer = TfidfVectorizer()
    rows = vectorizer.fit_transform(data.rows)
    for query in vectorizer.transform(data.queries):
        yield _plain((rows @ query.T).toarray()[:, 0])


def by_whole_texts(data: Dataset, encoder: RememberingEncoder) -> Iterator[Ranked]:
    """`similarity`: one vector for each text, by cosine."""
    rows = encoder.encode(data.rows)
    for query in encoder.encode(data.queries):
        yield _plain((rows @ query).astype(np.float64))


def blended(
    skills: Iterator[Ranked], texts: Iterator[Ranked], weight: float
) -> Iterator[Ranked]:
    """The best by skills in the order of their score and `weight` times the cosine."""
    for one, other in zip(skills, texts, strict=True):
        best = np.argsort(-one.scores, kind="stable")[:BLENDED]
        scores = one.scores.copy()
        scores[best] += weight * (1 + other.scores[best])
        yield Ranked(scores, one.seconds, one.kin)


def reranked(skills: Iterator[Ranked], texts: Iterator[Ranked]) -> Iterator[Ranked]:
    """By skills, but only among the best by the whole texts."""
    for one, other in zip(skills, texts, strict=True):
        best = np.argsort(-other.scores, kind="stable")[:RERANKED]
        scores = np.full(len(one.scores), -1.0)
        scores[best] = one.scores[best]
        yield Ranked(scores, one.seconds, one.kin)


def _plain(scores: Scores) -> Ranked:
    return Ranked(scores, np.zeros(len(scores)), scores)


def methods(data: Dataset, encoder: RememberingEncoder) -> dict[str, Method]:
    """By name, those to compare; on data for choosing also what was chosen from."""
    skills = BySkills(data, encoder)
    found: dict[str, Method] = {
        "words, TF-IDF": lambda: by_words(data),
        "whole texts, cosine (`similarity`)": lambda: by_whole_texts(data, encoder),
        "mean of the best cosines, skill by skill": lambda: skills.ranked(
            floor=0.0, price=0.0, rarity=0.0
        ),
        "the same without a price for long lists": lambda: skills.ranked(price=0.0),
        "the same with all skills alike": lambda: skills.ranked(rarity=0.0),
        "**skill by skill (`skills`)**": skills.ranked,
        f"the same among the {RERANKED} best by whole texts": lambda: reranked(
            skills.ranked(), by_whole_texts(data, encoder)
        ),
    }
    if "exact" in data.name:
        # Of the occupations that hold all five the shortest list is the likeliest, if
        # five were drawn at random: no order of equal answers does better.
        found["only equal skills, the shortest list first: the ceiling"] = lambda: (
            skills.ranked(floor=SAME - 1e-4, price=1e-3, rarity=0.0)
        )
    if data.for_choosing:
        found |= _choices(data, encoder, skills)
    return found


def _choices(
    data: Dataset, encoder: RememberingEncoder, skills: BySkills
) -> dict[str, Method]:
    def weighted(**weights: float) -> Method:
        return lambda: skills.ranked(**weights)

    def blend(weight: float) -> Method:
        return lambda: blended(skills.ranked(), by_whole_texts(data, encoder), weight)

    return (
        {f"floor {f}": weighted(floor=f) for f in (0.4, 0.5, 0.55, 0.65, 0.7)}
        | {f"price {p}": weighted(price=p) for p in (0.05, 0.1, 0.2, 0.3, 0.5)}
        | {"rarity 1.0": weighted(rarity=1.0)}
        | {f"{w} of the whole texts' cosine": blend(w) for w in (0.05, 0.1, 0.3)}
    )


def bytes_per_question(rows: Sequence[str]) -> tuple[int, int]:
    """What ranking these rows once reads from the database by whole texts, and by
    skills: the records of `queries.STREAM_EMBEDDINGS` and of `STREAM_SKILL_IDS`.
    """
    lists = [len(split_skills(row)) for row in rows]
    return RECORD_BYTES * len(lists), sum(RECORD_HEAD + 4 * n for n in lists)
