"""The ranking by skills compared with every skill of every row, for 200 users.

`tests/acceptance/test_oracle.py` compares it for real postings and users.
"""

import random
from pathlib import Path

import numpy as np
from psycopg2.sql import SQL

from app.deadline import Deadline
from app.storage.codec import to_bytes
from app.storage.connection.database import Database
from tests.support.compared import assert_ranked_naively
from tests.support.encoders import BlendEncoder, Remembering
from tests.support.skills import fill

USERS = 200


def test_texts_of_our_own_are_ranked_as_the_naive_ranking_does(
    database: Database, tmp_path: Path
) -> None:
    rng = random.Random(7)
    words = [f"word{n}" for n in range(60)]

    def text() -> str:
        """One to eight skills of one to three words: many similar, some equal."""
        skills = (
            rng.sample(words, rng.randint(1, 3)) for _ in range(rng.randint(1, 8))
        )
        return ", ".join(map(" ".join, skills))

    jobs = {id_: text() for id_ in rng.sample(range(10_000), 1000)}
    users = [text() for _ in range(USERS)]
    encoder = Remembering(BlendEncoder())
    with database.write(Deadline.after(60)) as transaction:
        transaction.execute(
            # This ranking compares no embedding of a whole text.
            SQL(
                "INSERT INTO skill_job1 (job_id, skills, embedding, embedding_version)"
                " SELECT id, skills, %(embedding)s, %(version)s"
                " FROM unnest(%(ids)s::bigint[], %(texts)s::text[]) AS new (id, skills)"
            ),
            {
                "ids": list(jobs),
                "texts": list(jobs.values()),
                "embedding": to_bytes(np.ones(encoder.dimension, np.float32)),
                "version": encoder.version,
            },
        )
    fill(database, encoder, batch_size=512)
    assert_ranked_naively(database, encoder, tmp_path, jobs=jobs, users=users)
