"""The jobs and users of `benchmarks.shards`.

Embeddings are those of real postings, recombined; skills are three words of a thousand.
"""

import numpy as np
from numpy.typing import NDArray

from app.storage.codec import int32_to_bytes, to_bytes
from benchmarks.recombined import ALL, embeddings_of, users_of
from benchmarks.tables import real_texts, recombined
from tests.support.postgres import run

WORDS = 1000
USERS = 200
VERSION = "all-MiniLM-L6-v2"
ROWS = (
    " FROM unnest(%s::bigint[], %s::text[], %s::bytea[], %s::bytea[])"
    " AS new (n, t, e, i), (VALUES (%s)) AS version (v)"
)
INSERTS = {
    "job": "INSERT INTO skill_job1 (job_id, skills, embedding, embedding_version)"
    f" SELECT n, t, e, v{ROWS}",
    "user": f"INSERT INTO users (user_id, skills) SELECT n, t{ROWS}",
}
STATES = {
    "job": "UPDATE recommender.job_state AS s SET state = 'embedded', skill_ids = i,"
    " text_hash = recommender.text_hash(t)",
    "user": "UPDATE recommender.user_state AS s SET state = 'embedded', skill_ids = i,"
    " text_hash = recommender.text_hash(t), embedding = e, embedding_version = v",
}


def fill(url: str, jobs: int) -> None:
    """Jobs and users with embeddings and skill ids, as the backfill stores them."""
    rng = np.random.default_rng(1)
    words = rng.standard_normal((WORDS, 384)).astype(np.float32)
    words /= np.linalg.norm(words, axis=1, keepdims=True)
    run(url, "SELECT recommender.use_model(%s, 384)", (VERSION,))
    run(
        url,
        "INSERT INTO recommender.skill (skill_id, skill, embedding, embedding_version)"
        " SELECT n, 'word ' || n, e, %s FROM unnest(%s::bytea[]) WITH ORDINALITY"
        " AS new (e, n)",
        (VERSION, [to_bytes(word) for word in words]),
    )
    texts = real_texts("jobs", ALL)
    for ids, _, vectors in recombined(
        jobs, texts, embeddings_of("jobs", texts), lambda *_: ""
    ):
        add(url, "job", ids, rng.integers(0, WORDS, (len(ids), 3)), vectors)
    users = list(range(1, USERS + 1))
    add(url, "user", users, rng.integers(0, WORDS, (USERS, 3)), users_of(USERS))
    run(url, "VACUUM ANALYZE")


def add(
    url: str,
    entity: str,
    ids: list[int],
    picked: NDArray[np.int64],
    vectors: NDArray[np.float32],
) -> None:
    texts = [", ".join(f"word {n + 1}" for n in row) for row in picked]
    # Each skill once, in the order of the text.
    skills = [int32_to_bytes([n + 1 for n in dict.fromkeys(row)]) for row in picked]
    given = [ids, texts, [to_bytes(v) for v in vectors], skills, VERSION]
    run(url, INSERTS[entity], given)
    run(url, "SELECT recommender.admit(name, 1000000) FROM recommender.entity")
    run(url, f"{STATES[entity]}{ROWS} WHERE s.{entity}_id = n", given)
