"""Backfill and query the ranking by skills, without HTTP."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from psycopg2.sql import SQL

from app.backfill import Backfill, Progress
from app.backfill.vocabulary import VocabularyKeeper
from app.backfill.watch import Work
from app.deadline import Deadline
from app.encoder import Encoder
from app.query.query import Query
from app.query.result import Result
from app.storage.connection.database import Database
from app.storage.entity import ENTITIES, EntityName
from tests.support.postgres import run
from tests.support.queries import results
from tests.support.ranking import rank, ranking_over


def fill(database: Database, encoder: Encoder, *, batch_size: int = 7) -> None:
    """Embed all texts and skills."""
    for _ in all_work(database, encoder, batch_size=batch_size).run():
        pass


def all_work(
    database: Database,
    encoder: Encoder,
    *,
    entities: Sequence[EntityName] = ENTITIES,
    batch_size: int = 7,
    stays_up: bool = False,
    stop: threading.Event | None = None,
) -> Work:
    """The work for both tables or some, and the vocabulary."""
    stop = stop or threading.Event()
    vocabulary = VocabularyKeeper(database, encoder, stays_up=stays_up, stop=stop)
    backfills = [
        Backfill(
            database,
            encoder,
            entity=entity,
            vocabulary=vocabulary,
            batch_size=batch_size,
            stop=stop,
        )
        for entity in entities
    ]
    return Work(backfills, vocabulary)


def rows_of(run: Iterable[Progress]) -> list[Progress]:
    """The progress of each batch, without the number of new skills."""
    return [replace(done, skills=0) for done in run]


def total_of(run: Iterable[Progress]) -> Progress:
    """The progress of all batches."""
    return sum(rows_of(run), Progress())


def forget_counts(database: Database) -> None:
    """Delete the counts: all skills have equal weights."""
    with database.write(Deadline.after(30)) as transaction:
        transaction.execute(
            SQL("UPDATE recommender.skill_vocabulary SET counted_vocabulary = NULL")
        )


def count_jobs_of(url: str) -> dict[str, int] | None:
    """The number of jobs per skill, by the stored counts; None if deleted."""
    ((data,),) = run(
        url,
        "SELECT CASE WHEN counted_vocabulary = vocabulary THEN job_counts END"
        " FROM recommender.skill_vocabulary",
    )
    if data is None:
        return None
    names = dict(run(url, "SELECT skill_id, skill FROM recommender.skill"))
    counts = enumerate(np.frombuffer(data, "<i4").tolist())
    return {names.get(n, "removed"): count for n, count in counts if count}


def skills_of(url: str, table: str = "job_state", key: str = "job_id") -> list[object]:
    """The skills of each row by its ids; None without ids."""
    query = f"SELECT skill_ids FROM recommender.{table} WHERE state <> 'gone'"
    rows = run(url, f"{query} ORDER BY {key}")
    # Read second: it may have skills that are newer than the rows.
    names = dict(run(url, "SELECT skill_id, skill FROM recommender.skill"))
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
