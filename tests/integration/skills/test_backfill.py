"""The backfill of the vocabulary and of skill ids, and what makes a row pending."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from psycopg2.sql import SQL

from app.skills.backfill import SkillBackfill
from app.storage.database import Database
from tests.support.encoders import HashEncoder
from tests.support.postgres import run
from tests.support.skills import fill


def add_jobs(url: str, *texts: str | None) -> None:
    run(
        url,
        SQL(
            "INSERT INTO skill_job1 (job_id, skills)"
            " SELECT n, t FROM unnest(%s::text[]) WITH ORDINALITY AS new (t, n)"
        ),
        (list(texts),),
    )


def skills_of(url: str, table: str = "skill_job1", key: str = "job_id") -> list[object]:
    """For each row its skills by way of their ids; None where it has no ids."""
    names = dict(run(url, "SELECT skill_id, skill FROM skill"))
    rows = run(url, f"SELECT skill_ids FROM {table} ORDER BY {key}")
    return [
        None
        if data is None
        else [names[n] for n in np.frombuffer(data, "<i4").tolist()]
        for (data,) in rows
    ]


def test_every_text_becomes_ids_and_every_skill_is_embedded_once(
    database: Database, database_url: str
) -> None:
    add_jobs(database_url, "SQL, Python", None, "python; Go", "  ", "...", "go")
    run(database_url, "INSERT INTO users (user_id, skills) VALUES (1, 'Rust/Python')")
    encoder = HashEncoder()
    backfill = SkillBackfill(database, encoder, page_rows=2)
    assert backfill.remaining() == 5
    pages = list(backfill.run())
    assert (sum(p.rows for p in pages), sum(p.skills for p in pages)) == (5, 4)
    assert skills_of(database_url) == [
        ["sql", "python"],
        None,
        ["python", "go"],
        None,
        [],
        ["go"],
    ]
    assert skills_of(database_url, "users", "user_id") == [["rust", "python"]]
    assert sorted(encoder.seen) == ["go", "python", "rust", "sql"]
    assert backfill.remaining() == 0


def test_f70_a_second_run_writes_nothing(database: Database, database_url: str) -> None:
    add_jobs(database_url, "sql")
    fill(database, HashEncoder())
    before = run(database_url, "SELECT xmin, revision FROM skill_vocabulary")
    assert list(SkillBackfill(database, HashEncoder()).run()) == []
    assert run(database_url, "SELECT xmin, revision FROM skill_vocabulary") == before


def test_an_edit_makes_a_row_pending_and_another_column_does_not(
    database: Database, database_url: str
) -> None:
    add_jobs(database_url, "sql", "go")
    fill(database, HashEncoder())
    run(database_url, "UPDATE skill_job1 SET skills = 'rust' WHERE job_id = 1")
    run(database_url, "UPDATE skill_job1 SET embedding = 'x' WHERE job_id = 2")
    assert skills_of(database_url) == [None, ["go"]]
    fill(database, HashEncoder())
    assert skills_of(database_url) == [["rust"], ["go"]]


def test_f66_an_edit_during_the_embedding_keeps_the_row_pending(
    database: Database, database_url: str
) -> None:
    add_jobs(database_url, "sql", "go")

    class Editor(HashEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            run(database_url, "UPDATE skill_job1 SET skills = 'new' WHERE job_id = 1")
            return super().encode(texts)

    (page,) = SkillBackfill(database, Editor()).run()
    assert (page.rows, page.changed) == (1, 1)
    assert skills_of(database_url) == [None, ["go"]]


def test_f67_a_row_deleted_during_the_embedding_is_no_error(
    database: Database, database_url: str
) -> None:
    add_jobs(database_url, "sql", "go")

    class Deleter(HashEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            run(database_url, "DELETE FROM skill_job1 WHERE job_id = 1")
            return super().encode(texts)

    assert [p.rows for p in SkillBackfill(database, Deleter()).run()] == [1]
    assert skills_of(database_url) == [["go"]]


def test_f29_skills_of_another_version_are_embedded_again_under_their_ids(
    database: Database, database_url: str
) -> None:
    add_jobs(database_url, "sql")
    fill(database, HashEncoder())
    run(database_url, "UPDATE skill SET embedding_version = 'older'")
    backfill = SkillBackfill(database, HashEncoder())
    assert backfill.remaining() == 1
    assert [(p.rows, p.skills) for p in backfill.run()] == [(0, 1)]
    assert run(database_url, "SELECT skill_id, embedding_version FROM skill") == [
        (1, HashEncoder.version)
    ]


def test_skills_that_no_row_has_any_more_can_be_removed(
    database: Database, database_url: str
) -> None:
    add_jobs(database_url, "sql, go", "rust")
    run(database_url, "INSERT INTO users (user_id, skills) VALUES (1, 'oil')")
    fill(database, HashEncoder())
    run(database_url, "UPDATE skill_job1 SET skills = 'go' WHERE job_id = 1")
    run(database_url, "DELETE FROM skill_job1 WHERE job_id = 2")
    fill(database, HashEncoder())
    assert SkillBackfill(database, HashEncoder()).remove_unused() == 2
    assert run(database_url, "SELECT skill FROM skill ORDER BY skill") == [
        ("go",),
        ("oil",),
    ]


def test_a_skill_removed_during_the_embedding_keeps_its_rows_pending(
    database: Database, database_url: str
) -> None:
    add_jobs(database_url, "sql")
    fill(database, HashEncoder())
    run(database_url, "INSERT INTO skill_job1 (job_id, skills) VALUES (9, 'sql, go')")

    class Remover(HashEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            run(database_url, "DELETE FROM skill WHERE skill = 'sql'")
            return super().encode(texts)

    (page,) = SkillBackfill(database, Remover()).run()
    assert (page.rows, page.changed) == (0, 1)
    fill(database, HashEncoder())
    data = run(database_url, "SELECT skill_ids FROM skill_job1 WHERE job_id = 9")[0][0]
    names = dict(run(database_url, "SELECT skill_id, skill FROM skill"))
    assert [names[n] for n in np.frombuffer(data, "<i4").tolist()] == ["sql", "go"]
