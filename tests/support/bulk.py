"""Insert many jobs with the embeddings of `HashEncoder`."""

import io

import numpy as np
import psycopg2

from app.storage.codec import to_bytes
from tests.support.encoders import DIMENSION
from tests.support.postgres import run
from tests.support.rows import VERSION, admit


def fill_jobs(url: str, count: int, *, seed: int = 0, more: str = "") -> None:
    """Jobs 1 … `count` with random unit embeddings, by one COPY; `more` is text."""
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSION))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    lines = (
        f"{n}\tskill {n}{more}\t\\\\x{to_bytes(vector).hex()}\t{VERSION}\n"
        for n, vector in enumerate(vectors.astype(np.float32), start=1)
    )
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.copy_expert(
            "COPY skill_job1 (job_id, skills, embedding, embedding_version) FROM STDIN",
            io.StringIO("".join(lines)),
        )
    connection.close()


def fill_users(url: str, count: int, *, seed: int = 7) -> None:
    """Users 1 … `count` with stored embeddings, of random directions."""
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSION))
    run(
        url,
        "INSERT INTO users (user_id, skills)"
        " SELECT n, 'skill ' || n FROM generate_series(1, %s) AS n",
        (count,),
    )
    admit(url)
    run(
        url,
        "UPDATE recommender.user_state AS s"
        " SET embedding = new.embedding, embedding_version = %s"
        " FROM unnest(%s::bytea[]) WITH ORDINALITY AS new (embedding, user_id)"
        " WHERE s.user_id = new.user_id",
        (VERSION, [to_bytes(vector) for vector in vectors.astype("<f4")]),
    )
