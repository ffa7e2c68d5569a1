"""Insert jobs with embeddings, and users."""

from collections.abc import Sequence

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
