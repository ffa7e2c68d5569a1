"""Queries as people type them, and the right jobs for them."""

import re
from pathlib import Path

import numpy as np

from evaluation.datasets import Dataset, postings, read
from evaluation.halves import is_held_out

HERE = Path(__file__).resolve().parent
SAMPLE = HERE.parent / "samples" / "jobs.csv"
FOREIGN = "language"


def typed(*, held_out: bool, foreign: bool = False) -> Dataset:
    """English queries over the sample, or those in other languages."""
    jobs = read(SAMPLE)
    place = {job["job_id"]: n for n, job in enumerate(jobs)}
    mine = [
        row
        for row in read(HERE / "typed_questions.csv")
        if is_held_out(row["question"]) == held_out
        and (row["kind"] == FOREIGN) == foreign
    ]
    return Dataset(
        "typed questions, other languages" if foreign else "typed questions",
        [job["skills"] for job in jobs],
        [row["question"] for row in mine],
        [np.array([place[name] for name in row["right_jobs"].split()]) for row in mine],
        held_out=held_out,
        metric="R@3",
        titles=[job["title"] for job in jobs],
        kinds=[row["kind"] for row in mine],
    )


def typed_postings(folder: Path, *, held_out: bool, seed: int) -> Dataset:
    """Queries over real postings; right are those with a matching title."""
    rows = postings(folder, seed=seed)
    mine = [
        row
        for row in read(HERE / "typed_questions_postings.csv")
        if is_held_out(row["question"]) == held_out
    ]
    right = [
        np.flatnonzero(
            [
                bool(re.search(row["right_titles"], posting["title"], re.IGNORECASE))
                for posting in rows
            ]
        )
        for row in mine
    ]
    return Dataset(
        "typed questions, postings",
        [posting["skills"] for posting in rows],
        [row["question"] for row in mine],
        right,
        held_out=held_out,
        metric="P@10",
        kinds=[row["kind"] for row in mine],
    )
