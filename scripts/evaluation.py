"""Profiles with known right answers, and how early a ranking finds them."""

import csv
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import _path  # noqa: F401  (finds `app`)
import numpy as np
from numpy.typing import NDArray

from app.encoder import Encoder
from app.ranking.skills.parse import split_skills

Scores = NDArray[np.float64]
T = TypeVar("T")

# Scores nearer than this are equal, as in published answers.
DECIMALS = 6
ENCODED_AT_ONCE = 256
# Few skills say little about a person: such profiles are not drawn.
LEAST_SKILLS = 3
DRAWN_SKILLS = 5
SURVEYED = 40
POSTINGS = 20_000

# The occupations of the surveys that postings name in their titles, and how.
WEB = r"\bweb (application )?(developer|engineer)"
TITLES = {
    "Full-stack web developer": rf"full.?stack|{WEB}",
    "Back-end web developer": rf"back.?end|{WEB}",
    "Front-end web developer": rf"front.?end|\bui (developer|engineer)|{WEB}",
    "Mobile developer - Android": r"android|mobile",
    "Mobile developer - iOS": r"\bios\b|mobile",
    "Embedded application developer": r"embedded|firmware",
    "DevOps": r"dev.?ops|site reliability|\bsre\b",
    "Data scientist": r"data scien|machine learning",
    "Machine learning developer": r"data scien|machine learning",
    "System administrator": r"(system|linux|windows|server)s? admin|sysadmin",
    "Business intelligence or data warehousing expert": (
        r"business intelligence|\bbi\b|data warehous|\betl\b"
    ),
    "Quality Assurance": r"\bqa\b|quality|\btest",
    "Database administrator": r"database admin|\bdba\b",
    "Designer": r"design",
    "Analyst": r"analyst",
}

csv.field_size_limit(1 << 30)


@dataclass(frozen=True)
class Dataset:
    """Profiles, the texts that they are ranked against, and for each the right ones:
    (n,) places of rows.
    """

    name: str
    rows: Sequence[str]
    queries: Sequence[str]
    answers: Sequence[NDArray[np.intp]]
    for_choosing: bool = False


@dataclass(frozen=True)
class Ranked:
    """Scores of all rows for one query, highest best; `seconds` order equal ones, then
    the row's place. Rows of equal `kin` match the query in the same way.
    """

    scores: Scores
    seconds: Scores
    kin: Scores


@dataclass(frozen=True)
class Quality:
    """Of the order that a user sees: how often a right row is first, with the bounds
    of 95 % of bootstrap samples, or among the first; the mean reciprocal rank; the
    share of right ones among the first ten. `shared_r1`, `shared_r10`: where the rows
    that match in the same way share the best rank of them.
    """

    r1: float
    r1_low: float
    r1_high: float
    r5: float
    r10: float
    mrr: float
    precision10: float
    shared_r1: float
    shared_r10: float


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
    return Dataset(
        f"ESCO {variant}",
        [row["skills"] for row in rows],
        [q["skills"] for q in mine],
        [np.array([place[q["occupation_id"]]]) for q in mine],
        for_choosing=not held_out,
    )


def drawn(path: Path, name: str, *, count: int, seed: int) -> Dataset:
    """Profiles of five skills drawn from each of `count` occupations of a file."""
    rng = random.Random(seed)  # noqa: S311  (a sample, not a secret)
    all_rows = [
        row for row in read(path) if len(split_skills(row["skills"])) >= DRAWN_SKILLS
    ]
    rows = _sample(all_rows, count, rng)
    profiles = [rng.sample(split_skills(row["skills"]), DRAWN_SKILLS) for row in rows]
    return Dataset(
        name,
        [row["skills"] for row in rows],
        [", ".join(skill.name for skill in profile) for profile in profiles],
        [np.array([n]) for n in range(len(rows))],
    )


def surveyed(folder: Path, *, held_out: bool, seed: int) -> Dataset:
    """People of surveys, and real postings; right is a posting whose title names the
    person's occupation. As many people of each occupation, where there are.
    """
    postings = [p for p in read(folder / "jobs_real.csv") if split_skills(p["skills"])]
    postings = _sample(postings, POSTINGS, random.Random(seed))  # noqa: S311
    named = {
        occupation: np.flatnonzero(
            [bool(re.search(title, p["title"], re.IGNORECASE)) for p in postings]
        )
        for occupation, title in TITLES.items()
    }
    people = defaultdict(list)
    for user in read(folder / "users_open.csv"):
        if len(split_skills(user["skills"])) >= LEAST_SKILLS:
            people[user["occupation"]].append(user)
    rng = random.Random(seed)  # noqa: S311  (a sample, not a secret)
    sample = [_sample(people[occupation], 2 * SURVEYED, rng) for occupation in TITLES]
    mine = [user for some in sample for user in some[int(held_out) :: 2]]
    return Dataset(
        "surveys and postings",
        [posting["skills"] for posting in postings],
        [user["skills"] for user in mine],
        [named[user["occupation"]] for user in mine],
        for_choosing=not held_out,
    )


def _sample(rows: list[T], count: int, rng: random.Random) -> list[T]:
    return rng.sample(rows, min(count, len(rows)))


def quality(
    ranked: Iterable[Ranked], answers: Sequence[NDArray[np.intp]], *, seed: int
) -> Quality:
    """How early the right rows come."""
    ranks, shared, precision = [], [], []
    for found, right in zip(ranked, answers, strict=True):
        first = np.round(found.scores, DECIMALS)
        second = np.round(found.seconds, DECIMALS)
        order = np.lexsort((np.arange(len(first)), -second, -first))
        is_right = np.zeros(len(first), bool)
        is_right[right] = True
        precision.append(is_right[order[:10]].mean())
        at = int(np.argmax(is_right[order]))
        ranks.append(at + 1)
        best = order[at]
        kin = np.round(found.kin, DECIMALS)
        shared.append(1 + int(((first > first[best]) & (kin != kin[best])).sum()))
    place, best_place = np.array(ranks), np.array(shared)
    hits = place == 1
    samples = np.random.default_rng(seed).choice(hits, (2000, len(hits))).mean(axis=1)
    low, high = np.percentile(samples, [2.5, 97.5])
    return Quality(
        r1=float(hits.mean()),
        r1_low=float(low),
        r1_high=float(high),
        r5=float((place <= 5).mean()),  # noqa: PLR2004
        r10=float((place <= 10).mean()),  # noqa: PLR2004
        mrr=float((1 / place).mean()),
        precision10=float(np.mean(precision)),
        shared_r1=float((best_place == 1).mean()),
        shared_r10=float((best_place <= 10).mean()),  # noqa: PLR2004
    )
