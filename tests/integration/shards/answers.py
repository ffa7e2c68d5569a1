"""Rows for two databases, and the answers of each ranking about them."""

from contextlib import closing
from pathlib import Path

from app.query.result import Result
from app.ranking.retrieval.base import Retrieval
from app.storage.connection.database import Database
from tests.support.encoders import BlendEncoder
from tests.support.postgres import run
from tests.support.queries import profile_query, results
from tests.support.ranking import rank, ranking_over
from tests.support.skills import fill

WORDS = ("python", "sql", "go", "rust", "java", "css", "react", "spark", "aws", "git")
USERS = 8
BY_NAME = ("similarity", "skills", "hybrid")


def text_of(number: int) -> str:
    """Three of the words, in one of many combinations."""
    picked = {WORDS[number * step % len(WORDS)] for step in (1, 3, 7)}
    return ", ".join(sorted(picked))


def insert_rows(url: str, jobs: int = 60) -> None:
    run(
        url,
        "INSERT INTO skill_job1 (job_id, skills)"
        " SELECT n, text FROM unnest(%s::text[]) WITH ORDINALITY AS new (text, n)",
        ([text_of(n) for n in range(jobs)],),
    )
    run(
        url,
        "INSERT INTO users (user_id, skills)"
        " SELECT n, text FROM unnest(%s::text[]) WITH ORDINALITY AS new (text, n)",
        ([text_of(7 * n + 1) for n in range(USERS)],),
    )


def embed(url: str) -> None:
    with closing(Database(url, pool_size=2)) as database:
        fill(database, BlendEncoder())


def answers(
    url: str, folder: Path, *, retrieval: Retrieval | None = None
) -> list[list[tuple[object, ...]]]:
    """The hits of all users by each ranking, and how many jobs were compared.

    `retrieval`: for the ranking by similarity; by default the stream.
    """
    found: list[Result] = []
    with closing(Database(url, pool_size=2)) as database:
        for name in BY_NAME if retrieval is None else ["similarity"]:
            ranking = ranking_over(
                database,
                BlendEncoder(),
                name=name,
                retrieval=retrieval,
                folder=folder / name,
            )
            queries = [
                profile_query(10, user_id=user, ranking=name)
                for user in range(1, USERS + 1)
            ]
            found += results(rank(ranking, queries))
    return [
        [
            (one.analyzed, one.pending),
            *((h.id, h.text, h.similarity_score, h.match_score) for h in one.hits),
        ]
        for one in found
    ]
