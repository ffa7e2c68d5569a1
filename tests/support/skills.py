"""Filling and asking, without HTTP."""

from pathlib import Path

import numpy as np
from psycopg2.sql import SQL

from app.backfill.skills import SkillBackfill
from app.deadline import Deadline
from app.encoder import Encoder
from app.query.query import Query
from app.query.result import Result
from app.storage.connection.database import Database
from tests.support.postgres import run
from tests.support.queries import results
from tests.support.ranking import rank, ranking_over


def fill(database: Database, encoder: Encoder, *, page_rows: int = 7) -> None:
    """Split every text and embed every skill."""
    for _ in SkillBackfill(database, encoder, page_rows=page_rows).run():
        pass


def forget_counts(database: Database) -> None:
    """As before the first count: all skills are alike."""
    with database.write(Deadline.after(30)) as transaction:
        transaction.execute(
            SQL("UPDATE skill_vocabulary SET counted_vocabulary = NULL")
        )


def count_jobs_of(url: str) -> dict[str, int] | None:
    """How many jobs list each skill, by the stored counts; None where they are void."""
    ((data,),) = run(
        url,
        "SELECT CASE WHEN counted_vocabulary = vocabulary THEN job_counts END"
        " FROM skill_vocabulary",
    )
    if data is None:
        return None
    names = dict(run(url, "SELECT skill_id, skill FROM skill"))
    counts = enumerate(np.frombuffer(data, "<i4").tolist())
    return {names.get(n, "removed"): count for n, count in counts if count}


def skills_of(url: str, table: str = "skill_job1", key: str = "job_id") -> list[object]:
    """For each row its skills by way of their ids; None where it has no ids."""
    rows = run(url, f"SELECT skill_ids FROM {table} ORDER BY {key}")
    # Second: a skill that is new since then does no harm.
    names = dict(run(url, "SELECT skill_id, skill FROM skill"))
    return [
        None
        if data is None
        else [names[n] for n in np.frombuffer(data, "<i4").tolist()]
        for (data,) in rows
    ]


def ask(
    database: Database, encoder: Encoder, folder: Path, *queries: Query
) -> list[Result]:
    """The results of one batch with a cache in `folder`."""
    ranking = ranking_over(database, encoder, name="skills", folder=folder)
    return results(rank(ranking, queries))
