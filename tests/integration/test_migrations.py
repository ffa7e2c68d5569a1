"""Migrations: of an empty database, of existing tables, repeated, interrupted."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg2.sql import SQL

from app.commands import migrate
from app.commands.migration_files import MIGRATIONS_FOLDER
from tests.support.postgres import Server, fresh_database, run

FILES = sorted(MIGRATIONS_FOLDER.glob("*.sql"))


@pytest.fixture
def empty_url(postgres: Server) -> Iterator[str]:
    with fresh_database(postgres, template="template1") as url:
        yield url


def columns(url: str, table: str) -> dict[str, str]:
    return dict(
        run(
            url,
            SQL(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
                " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
            ),
            (table,),
        )
    )


def test_an_empty_database_gets_both_tables(empty_url: str) -> None:
    names = list(migrate.migrate(empty_url))
    assert names == [file.stem for file in FILES]
    job = columns(empty_url, "skill_job1")
    assert job["embedding"] == "bytea"
    assert job["embedding_version"] == "character varying(20)"
    assert columns(empty_url, "users")["skills"] == "text"


def test_a_table_of_the_users_own_keeps_its_rows_and_columns(empty_url: str) -> None:
    run(
        empty_url,
        "CREATE TABLE skill_job1 (title text, job_id uuid, skills varchar(900));"
        " INSERT INTO skill_job1 VALUES ('cook', gen_random_uuid(), 'cooking')",
    )
    list(migrate.migrate(empty_url))
    job = columns(empty_url, "skill_job1")
    assert (job["job_id"], job["skills"]) == ("uuid", "character varying(900)")
    assert run(empty_url, "SELECT title, skills FROM skill_job1") == [
        ("cook", "cooking")
    ]
    indexes = run(
        empty_url, "SELECT indexdef FROM pg_indexes WHERE tablename = 'skill_job1'"
    )
    assert any(line[0].endswith("(job_id)") for line in indexes)


def test_no_second_index_is_made_on_job_id(empty_url: str) -> None:
    run(empty_url, "CREATE TABLE skill_job1 (job_id int PRIMARY KEY, skills text)")
    list(migrate.migrate(empty_url))
    on_job_id = [
        line[0]
        for line in run(
            empty_url, "SELECT indexdef FROM pg_indexes WHERE tablename = 'skill_job1'"
        )
        if line[0].endswith("(job_id)")
    ]
    assert len(on_job_id) == 1


def test_f62_applying_twice_is_a_no_op(empty_url: str) -> None:
    list(migrate.migrate(empty_url))
    assert list(migrate.migrate(empty_url)) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_f62_each_file_can_be_pasted_into_an_editor_again(
    database_url: str, file: Path
) -> None:
    run(database_url, file.read_text())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_first_line_of_a_file_says_why(file: Path) -> None:
    assert file.read_text().startswith("-- Why: ")


def test_an_unreachable_database_is_reported_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:secret@127.0.0.1:1/x")
    assert migrate.main([]) == 1
    error = capsys.readouterr().err
    assert error.startswith("migrate: ")
    assert "secret" not in error
