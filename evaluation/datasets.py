"""Profiles with known right answers: ESCO, surveys, O*NET and ROME."""

import csv
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from app.ranking.skills.parse import split_skills

T = TypeVar("T")

# Few skills say little about a person: such profiles are not drawn.
MIN_SKILLS = 3
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
    """Questions, the texts that they are ranked against, and the right ones.

    `right`: for each question (n,) places of rows. `metric`: the one that decides, by
    its name in the tables. `titles`: one more entry of each row, or none at all.
    `kinds`: what kind of question each is, or none at all. `held_out`: nothing may be
    chosen by this data.
    """

    name: str
    rows: Sequence[str]
    queries: Sequence[str]
    right: Sequence[NDArray[np.intp]]
    held_out: bool
    metric: str = "R@10"
    titles: Sequence[str] = ()
    kinds: Sequence[str] = ()


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
        held_out=held_out,
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
        held_out=True,
    )


def postings(folder: Path, *, seed: int) -> list[dict[str, str]]:
    """Real postings that list a skill, as many as are ranked."""
    rows = [p for p in read(folder / "jobs_real.csv") if split_skills(p["skills"])]
    return _sample(rows, POSTINGS, random.Random(seed))  # noqa: S311


def surveyed(folder: Path, *, held_out: bool, seed: int) -> Dataset:
    """People of surveys, and real postings; right is a posting whose title names the
    person's occupation.

    The same number of people of each occupation, if possible.
    """
    rows = postings(folder, seed=seed)
    named = {
        occupation: np.flatnonzero(
            [bool(re.search(title, p["title"], re.IGNORECASE)) for p in rows]
        )
        for occupation, title in TITLES.items()
    }
    people = defaultdict(list)
    for user in read(folder / "users_open.csv"):
        if user["occupation"] not in TITLES:
            continue
        if len(split_skills(user["skills"])) >= MIN_SKILLS:
            people[user["occupation"]].append(user)
    rng = random.Random(seed)  # noqa: S311  (a sample, not a secret)
    sample = [_sample(people[occupation], 2 * SURVEYED, rng) for occupation in TITLES]
    mine = [user for some in sample for user in some[int(held_out) :: 2]]
    return Dataset(
        "surveys and postings",
        [posting["skills"] for posting in rows],
        [user["skills"] for user in mine],
        [named[user["occupation"]] for user in mine],
        held_out=held_out,
    )


def _sample(rows: list[T], count: int, rng: random.Random) -> list[T]:
    return rng.sample(rows, min(count, len(rows)))
