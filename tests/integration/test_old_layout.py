"""Migrating a database of the old layout loses nothing.

`support/old_layout.sql` is a dump made by the code of that time with the real model:
six jobs, one edited later and one in quarantine; three users; vectors of pgvector.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.backfill import Progress
from app.commands import migrate
from app.storage.connection.database import Database
from tests.support import skills
from tests.support.encoders import HashEncoder
from tests.support.postgres import Server, fresh_database, run

DUMP = Path(skills.__file__).parent / "old_layout.sql"


@pytest.fixture
def old_url(postgres: Server) -> Iterator[str]:
    with fresh_database(postgres, template="template1") as url:
        run(url, DUMP.read_text())
        yield url


def test_embeddings_skills_and_quarantine_move_and_nothing_of_ours_stays(
    old_url: str,
) -> None:
    embeddings = "SELECT job_id, embedding FROM skill_job1 WHERE embedding IS NOT NULL"
    before = run(old_url, embeddings + " ORDER BY job_id")
    users = "SELECT user_id, embedding FROM {} WHERE embedding IS NOT NULL ORDER BY 1"
    users_before = run(old_url, users.format("users"))
    list(migrate.migrate(old_url))

    assert run(old_url, embeddings + " ORDER BY job_id") == before
    assert run(old_url, users.format("recommender.user_state")) == users_before
    query = "SELECT job_id, state::text FROM recommender.job_state ORDER BY job_id"
    assert run(old_url, query) == [
        (1, "embedded"), (2, "embedded"), (3, "embedded"), (4, "blank"), (5, "blank"),
        (9, "pending"), (10, "quarantined"),
    ]  # fmt: skip
    assert skills.skills_of(old_url) == [
        ["python", "sql", "berlin"], ["welding", "mig", "paris"], ["python", "docker"],
        None, None, None, None,
    ]  # fmt: skip
    assert skills.skills_of(old_url, "user_state", "user_id") == [
        ["python", "sql"],
        ["welding"],
    ]
    assert run(old_url, "SELECT entity, row_id, reason FROM recommender.failure") == [
        ("jobs", "10", "The encoder failed with ValueError.")
    ]
    columns = (
        "SELECT attrelid::regclass::text, attname FROM pg_attribute WHERE attnum > 0"
        " AND attrelid IN ('skill_job1'::regclass, 'users'::regclass)"
        " AND NOT attisdropped ORDER BY attrelid::regclass::text, attnum"
    )
    assert run(old_url, columns) == [
        ("skill_job1", "job_id"),
        ("skill_job1", "skills"),
        ("skill_job1", "embedding"),
        ("skill_job1", "embedding_version"),
        ("users", "user_id"),
        ("users", "skills"),
    ]
    left = (
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'i') ORDER BY relname"
    )
    names = [name for (name,) in run(old_url, left)]
    assert names == ["skill_job1", "skill_job1_pkey", "users", "users_pkey"]


def test_after_the_move_only_missing_data_is_computed(old_url: str) -> None:
    list(migrate.migrate(old_url))
    database = Database(old_url, pool_size=1)
    encoder = HashEncoder()
    done = sum(skills.all_work(database, encoder).run(), Progress())
    database.close()
    assert (done.embedded, done.split) == (1, 0)
    assert encoder.seen == ["nursing, night shifts", "night shifts"]


def test_the_next_skill_takes_a_free_id(old_url: str) -> None:
    list(migrate.migrate(old_url))
    run(old_url, "INSERT INTO recommender.skill (skill) VALUES ('new')")
    assert run(old_url, "SELECT max(skill_id) FROM recommender.skill") == [(9,)]


def test_moving_twice_is_a_no_op_and_another_programs_yoyo_record_stays(
    old_url: str,
) -> None:
    run(
        old_url,
        "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc)"
        " VALUES ('x', '20200101_01_of_theirs', now())",
    )
    list(migrate.migrate(old_url))
    assert list(migrate.migrate(old_url)) == []
    query = "SELECT to_regclass('_yoyo_migration') IS NOT NULL"
    assert run(old_url, query) == [(True,)]


def test_vectors_are_made_again_from_the_embeddings(
    old_url: str,
) -> None:
    list(migrate.migrate(old_url, extras=["pgvector"]))
    query = "SELECT count(*) FROM recommender.job_state WHERE has_vector"
    assert run(old_url, query) == [(0,)]
