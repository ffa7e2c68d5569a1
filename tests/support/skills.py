"""A ranking by skills that holds everything in memory and spares no work."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.backfill.skills import SkillBackfill
from app.deadline import Deadline
from app.encoder import Encoder
from app.errors import AppError
from app.match.questions import SkillAnswer, SkillQuestion
from app.match.ranker import SkillRanker
from app.scan.passes import PassScope
from app.skills.split import split_skills
from app.storage.database import Database
from tests.support.postgres import run

FLOOR, SAME, PRICE = 0.6, 0.99999, 0.15


def naive_ranking(
    encoder: Encoder,
    text: str,
    rows: Mapping[int, str],
    *,
    size: int,
    price: float = PRICE,
) -> list[tuple[int, float]]:
    """(id, score) of the best rows: each skill of each row against each of `text`."""
    query = encoder.encode([skill.key for skill in split_skills(text)])
    scored = []
    for id_, row in rows.items():
        keys = [skill.key for skill in split_skills(row)]
        if keys:
            score, coverage = naive_scores(query, encoder.encode(keys), price=price)
            scored.append((-round(score, 6), -round(coverage, 6), id_))
    return [(id_, -score) for score, _, id_ in sorted(scored)[:size]]


def naive_scores(
    query: NDArray[np.float32], row: NDArray[np.float32], *, price: float = PRICE
) -> tuple[float, float]:
    """Score and coverage of one row."""
    worth = np.clip((query @ row.T - FLOOR) / (SAME - FLOOR), 0, 1)
    surplus = max(0, len(row) - len(query))
    share = float(worth.max(axis=1).mean())
    return share / (1 + price * math.log2(1 + surplus)), float(worth.max(axis=0).mean())


def fill(database: Database, encoder: Encoder, *, page_rows: int = 7) -> None:
    """Split every text and embed every skill."""
    for _ in SkillBackfill(database, encoder, page_rows=page_rows).run():
        pass


def skills_of(url: str, table: str = "skill_job1", key: str = "job_id") -> list[object]:
    """For each row its skills by way of their ids; None where it has no ids."""
    names = dict(run(url, "SELECT skill_id, skill FROM skill"))
    rows = run(url, f"SELECT skill_ids FROM {table} ORDER BY {key}")
    return [
        None
        if data is None
        else [names[n] for n in np.frombuffer(data, "<i4").tolist()]
        for (data,) in rows
    ]


def scope() -> PassScope:
    return PassScope(Deadline.after(30), lambda: False)


def ask(
    database: Database, encoder: Encoder, folder: Path, *questions: SkillQuestion
) -> Sequence[SkillAnswer]:
    """The answers of one pass with a cache in `folder`."""
    ranker = SkillRanker(database, encoder, cache_folder=folder)
    answers = []
    for outcome in ranker.answer_all(questions, scope()):
        if isinstance(outcome, AppError):
            raise outcome
        answers.append(outcome)
    return answers
