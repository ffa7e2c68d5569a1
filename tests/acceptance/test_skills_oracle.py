"""The ranking by skills compared with loops in Python over every row, for 200 users.

With real postings and users if REAL_DATA_DIR is set, and always with generated texts.
"""

import csv
import random
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from psycopg2.sql import SQL

from app.deadline import Deadline
from app.encoder import Encoder
from app.encoder.lazy import LazyEncoder
from app.ranking.skills.parse import split_skills
from app.storage.codec import to_bytes
from app.storage.connection.database import Database
from tests.support.encoders import BlendEncoder
from tests.support.naive import NaiveRows
from tests.support.queries import profile_query
from tests.support.service import ROOT
from tests.support.skills import ask, fill

JOBS, USERS, TOP_N = 5000, 200, 10
AT_ONCE = 20
# float32 leaves its last digits to the order of additions: jobs nearer than half a
# published digit may change places.
MAX_DIFFERENT = USERS // 200
# The last bit of a vector, float32 in one and float64 in the other, may turn one of the
# roundings that the weights come from: 3e-6 was seen, 1e-6 with real texts.
MAX_ERROR = 5e-6


class Remembering:
    """An encoder that encodes no text twice: both rankings take its vectors."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[str, NDArray[np.float32]] = {}
        self.version = encoder.version
        self.dimension = encoder.dimension

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known |= zip(new, self._encoder.encode(new), strict=True)
        return np.array([self._known[text] for text in texts])


def compare(
    database: Database,
    encoder: Encoder,
    folder: Path,
    jobs: Mapping[int, str],
    users: Sequence[str],
) -> tuple[int, float]:
    """The number of users with other ids, and the largest difference of scores."""
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
    encoder = Remembering(encoder)
    fill(database, encoder, batch_size=512)
    naive = NaiveRows(encoder, jobs)
    differ, off = 0, 0.0
    for start in range(0, len(users), AT_ONCE):
        part = users[start : start + AT_ONCE]
        questions = [profile_query(TOP_N, text=text, ranking="skills") for text in part]
        for text, answer in zip(
            part, ask(database, encoder, folder, *questions), strict=True
        ):
            expected = naive.best(text, size=TOP_N)
            differ += [m.id for m in answer.hits] != [id_ for id_, _ in expected]
            for match, (_, score) in zip(answer.hits, expected, strict=True):
                assert match.explanation is not None
                off = max(off, abs(match.explanation.score - score))
    print(f"\n{len(jobs)} jobs, {len(users)} users: {differ} differ, by {off:.1e}")
    return differ, off


def column(file: Path, key: str) -> dict[int, str]:
    """The texts of a file that have skills, by id, in the order of the file."""
    with file.open(newline="", encoding="utf-8") as rows:
        return {
            int(row[key]): row["skills"]
            for row in csv.DictReader(rows)
            if split_skills(row["skills"])
        }


@pytest.mark.timeout(900)
def test_real_postings_for_real_users_equal_the_naive_ranking(
    real_data: Path, database: Database, tmp_path: Path
) -> None:
    encoder = LazyEncoder(ROOT / "models" / "all-MiniLM-L6-v2")
    rng = random.Random(6)
    jobs = dict(islice(column(real_data / "jobs_real.csv", "job_id").items(), JOBS))
    users = rng.sample([*column(real_data / "users_open.csv", "user_id").values()], 200)
    differ, off = compare(database, encoder, tmp_path, jobs, users)
    assert differ <= MAX_DIFFERENT
    assert off <= MAX_ERROR


def test_texts_of_our_own_equal_the_naive_ranking(
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
    differ, off = compare(database, BlendEncoder(), tmp_path, jobs, users)
    assert differ <= MAX_DIFFERENT
    assert off <= MAX_ERROR
