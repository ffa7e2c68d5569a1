"""Insert jobs with embeddings, and users."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing

import psycopg2
from psycopg2.extras import execute_values
from psycopg2.sql import SQL

from app.storage.codec import to_bytes
from tests.support.encoders import direction
from tests.support.postgres import run

VERSION = "all-MiniLM-L6-v2"


def add_job(
    url: str,
    job_id: object,
    skills: str | None,
    *,
    embedding: bytes | None = None,
    version: str | None = VERSION,
) -> None:
    """Insert one job; the default embedding is that of `HashEncoder`."""
    stored = to_bytes(direction(skills or "")) if embedding is None else embedding
    run(
        url,
        SQL(
            "INSERT INTO skill_job1 (job_id, skills, embedding, embedding_version)"
            " VALUES (%s, %s, %s, %s)"
        ),
        (job_id, skills, stored, version),
    )


def add_jobs(
    url: str, texts: Mapping[int, str], *, embeddings: Sequence[bytes] | None = None
) -> None:
    """Insert jobs by id in one statement; embeddings as in `add_job`."""
    stored = embeddings or [to_bytes(direction(text)) for text in texts.values()]
    rows = zip(texts, texts.values(), stored, [VERSION] * len(texts), strict=True)
    columns = "job_id, skills, embedding, embedding_version"
    _in_one(url, f"INSERT INTO skill_job1 ({columns}) VALUES %s", rows)


def add_users(url: str, texts: Mapping[int, str]) -> None:
    """Insert users by id in one statement."""
    _in_one(url, "INSERT INTO users (user_id, skills) VALUES %s", texts.items())


def embed_users(url: str, texts: Mapping[int, str]) -> None:
    """Store the embeddings of these texts by `HashEncoder` with the users."""
    admit(url)
    rows = [(id_, to_bytes(direction(text)), VERSION) for id_, text in texts.items()]
    _in_one(
        url,
        "UPDATE recommender.user_state AS s"
        " SET embedding = new.embedding, embedding_version = new.version"
        " FROM (VALUES %s) AS new (id, embedding, version) WHERE s.user_id = new.id",
        rows,
    )


def _in_one(url: str, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
    with closing(psycopg2.connect(url)) as connection, connection:
        listed = list(rows)
        execute_values(connection.cursor(), statement, listed, page_size=len(listed))


def admit(url: str) -> None:
    """Give noted rows their state, as the backfill does before it claims rows."""
    run(url, "SELECT recommender.admit(name, 1000000) FROM recommender.entity")


def add_pending_jobs(url: str, texts: Sequence[str | None]) -> None:
    """Insert jobs 1, 2, 3 … without embeddings."""
    run(
        url,
        SQL(
            "INSERT INTO skill_job1 (job_id, skills)"
            " SELECT ordinality, text"
            " FROM unnest(%s::text[]) WITH ORDINALITY AS new (text)"
        ),
        (list(texts),),
    )


def add_user(url: str, user_id: object, skills: str | None) -> None:
    run(
        url,
        SQL("INSERT INTO users (user_id, skills) VALUES (%s, %s)"),
        (user_id, skills),
    )
