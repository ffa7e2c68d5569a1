"""Rankings of profiles with a known right answer, and how good they are."""

import csv
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import _path  # noqa: F401  (finds `app`)
import numpy as np
from numpy.typing import NDArray

from app.encoder import Encoder
from app.skills.split import split_skills
from app.skills.weights import worth

Scores = NDArray[np.float64]

# Scores nearer than this are equal, as in published answers.
DECIMALS = 6
ENCODED_AT_ONCE = 256

csv.field_size_limit(1 << 30)


@dataclass(frozen=True)
class Dataset:
    """Profiles, the texts that they are ranked against, and the right one of each."""

    name: str
    rows: Sequence[str]
    queries: Sequence[str]
    answers: Sequence[int]


@dataclass(frozen=True)
class Quality:
    """Recall and mean reciprocal rank, with the bounds of 95 % of bootstrap samples
    for recall@1.
    """

    r1: float
    r1_low: float
    r1_high: float
    r5: float
    r10: float
    mrr: float
    strict_r1: float


class RememberingEncoder:
    """An encoder whose results stay in a folder: a second evaluation takes seconds."""

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        self._encoder = encoder
        folder.mkdir(parents=True, exist_ok=True)
        self._texts = folder / f"{encoder.version}.texts.jsonl"
        self._vectors = folder / f"{encoder.version}.f32"
        self._known: dict[str, NDArray[np.float32]] = {}
        if self._texts.exists() and self._vectors.exists():
            lines = self._texts.read_text().splitlines()
            rows = np.fromfile(self._vectors, np.float32)
            rows = rows[: rows.size // 384 * 384].reshape(-1, 384)
            self._known = dict(zip(map(json.loads, lines), rows, strict=False))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, 384) float32, unit length."""
        new = sorted({t for t in texts if t not in self._known}, key=len)
        for start in range(0, len(new), ENCODED_AT_ONCE):
            self._add(new[start : start + ENCODED_AT_ONCE])
        return np.array([self._known[text] for text in texts], np.float32)

    def _add(self, texts: Sequence[str]) -> None:
        vectors = self._encoder.encode(texts)
        with self._vectors.open("ab") as file:
            vectors.tofile(file)
        with self._texts.open("a") as lines:
            lines.writelines(json.dumps(text) + "\n" for text in texts)
        self._known |= dict(zip(texts, vectors, strict=True))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def esco(folder: Path, variant: str, *, held_out: bool, seed: int) -> Dataset:
    """Profiles of five skills of ESCO occupations; a half of the occupations, drawn
    with `seed`, is for choosing weights, the other is held out.
    """
    rows = read(folder / "esco_eval.csv")
    place = {row["occupation_id"]: n for n, row in enumerate(rows)}
    queries = read(folder / "esco_queries_dev.csv")
    ids = sorted({q["occupation_id"] for q in queries}, key=int)
    chosen = set(np.random.default_rng(seed).permutation(ids)[: len(ids) // 2].tolist())
    mine = [
        q
        for q in queries
        if q["variant"] == variant and (q["occupation_id"] in chosen) != held_out
    ]
    half = "held out" if held_out else "for choosing"
    return Dataset(
        f"ESCO {variant}, {half}",
        [row["skills"] for row in rows],
        [q["skills"] for q in mine],
        [place[q["occupation_id"]] for q in mine],
    )


def drawn(path: Path, *, count: int, seed: int) -> Dataset:
    """Profiles of five skills drawn from each of `count` occupations of a file."""
    rng = random.Random(seed)  # noqa: S311  (a sample, not a secret)
    rows = [row for row in read(path) if len(split_skills(row["skills"])) >= 5]  # noqa: PLR2004
    rows = rng.sample(rows, min(count, len(rows)))
    return Dataset(
        f"{path.stem}, five skills drawn",
        [row["skills"] for row in rows],
        [
            ", ".join(s.name for s in rng.sample(split_skills(row["skills"]), 5))
            for row in rows
        ],
        range(len(rows)),
    )


@dataclass(frozen=True)
class BestSkills:
    """What each row has for one query."""

    similarities: NDArray[np.float32]  # (rows, k), of the best match of each skill
    coverage: Scores  # (rows,)


def best_skills(data: Dataset, encoder: RememberingEncoder) -> list[BestSkills]:
    """For each query, from every skill of every row against every skill of its own."""
    lists = [[skill.key for skill in split_skills(row)] for row in data.rows]
    keys = sorted({key for row in lists for key in row})
    place = {key: n for n, key in enumerate(keys)}
    vectors = encoder.encode(keys)
    ids = np.array([place[key] for row in lists for key in row])
    sizes = np.array([len(row) for row in lists])
    starts = np.concatenate([[0], np.cumsum(sizes[:-1])])
    found = []
    for query in data.queries:
        mine = encoder.encode([skill.key for skill in split_skills(query)])
        similarities = vectors @ mine.T  # (skills, k)
        best = np.maximum.reduceat(similarities.take(ids, axis=0), starts, axis=0)
        covered = worth(similarities.max(axis=1)).astype(np.float64)
        found.append(BestSkills(best, np.add.reduceat(covered[ids], starts) / sizes))
    return found


def rank_by_skills(
    found: Sequence[BestSkills], value: Callable[[Scores], Scores]
) -> Iterator[tuple[Scores, Scores]]:
    """Score (the mean of `value` of the best similarities) and coverage, per query."""
    for one in found:
        yield value(one.similarities.astype(np.float64)).mean(axis=1), one.coverage


def rank_by_vectors(
    rows: NDArray[np.floating], queries: NDArray[np.floating]
) -> Iterator[tuple[Scores, Scores]]:
    """Cosine similarities of unit vectors."""
    for query in queries:
        scores = (rows @ query).astype(np.float64)
        yield scores, np.zeros(len(scores))


def quality(
    ranked: Iterator[tuple[Scores, Scores]], answers: Sequence[int], *, seed: int
) -> Quality:
    """How early the right rows come. Equal scores share the better rank, except in
    `strict_r1`: there coverage, then the row's number decides, as in an answer.
    """
    shared, strict = [], []
    for (scores, seconds), answer in zip(ranked, answers, strict=True):
        first, second = np.round(scores, DECIMALS), np.round(seconds, DECIMALS)
        better = first > first[answer]
        equal = first == first[answer]
        before = second > second[answer]
        before |= (second == second[answer]) & (np.arange(len(first)) < answer)
        shared.append(1 + int(better.sum()))
        strict.append(1 + int((better | (equal & before)).sum()))
    ranks = np.array(shared)
    hits = ranks == 1
    samples = np.random.default_rng(seed).choice(hits, (2000, len(hits))).mean(axis=1)
    low, high = np.percentile(samples, [2.5, 97.5])
    return Quality(
        r1=float(hits.mean()),
        r1_low=float(low),
        r1_high=float(high),
        r5=float((ranks <= 5).mean()),  # noqa: PLR2004
        r10=float((ranks <= 10).mean()),  # noqa: PLR2004
        mrr=float((1 / ranks).mean()),
        strict_r1=float((np.array(strict) == 1).mean()),
    )
