"""The triggers: an embedding never outlives its text, whoever changes the text."""

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from tests.support.postgres import run

TABLES = [("skill_job1", "job_id"), ("users", "user_id")]
VECTOR = b"\1" * 1536
OTHER = b"\2" * 1536


@pytest.fixture(params=TABLES, ids=lambda pair: pair[0])
def table(request: pytest.FixtureRequest, database_url: str) -> str:
    """A table with one embedded row, whose id is 1."""
    name, key = request.param
    run(
        database_url,
        f"INSERT INTO {name} ({key}, skills, embedding, embedding_version)"
        " VALUES (1, 'python', %s, 'all-MiniLM-L6-v2')",
        (VECTOR,),
    )
    return str(name)


def row(url: str, table: str) -> tuple[object, ...]:
    ((skills, embedding, version),) = run(
        url, f"SELECT skills, embedding, embedding_version FROM {table}"
    )
    return skills, embedding and bytes(embedding), version


def test_a_changed_text_loses_its_embedding_in_the_same_statement(
    database_url: str, table: str
) -> None:
    ((embedding, version),) = run(
        database_url,
        f"UPDATE {table} SET skills = 'sql' RETURNING embedding, embedding_version",
    )
    assert (embedding, version) == (None, None)


@pytest.mark.parametrize("skills", ["NULL", "''", "'Python'", "'python '"])
def test_every_change_counts_be_it_only_of_case_or_space(
    database_url: str, table: str, skills: str
) -> None:
    run(database_url, f"UPDATE {table} SET skills = {skills}")
    assert row(database_url, table)[1:] == (None, None)


def test_an_update_that_leaves_the_text_alone_keeps_the_embedding(
    database_url: str, table: str
) -> None:
    run(database_url, f"ALTER TABLE {table} ADD COLUMN title text")
    run(database_url, f"UPDATE {table} SET skills = skills, title = 'x'")
    assert row(database_url, table) == ("python", VECTOR, "all-MiniLM-L6-v2")


def test_an_orm_that_writes_all_columns_back_does_not_keep_the_old_embedding(
    database_url: str, table: str
) -> None:
    run(
        database_url,
        f"UPDATE {table} SET skills = 'sql', embedding = %s,"
        " embedding_version = 'all-MiniLM-L6-v2'",
        (VECTOR,),
    )
    assert row(database_url, table) == ("sql", None, None)


def test_a_statement_that_brings_a_new_embedding_keeps_that_one(
    database_url: str, table: str
) -> None:
    run(
        database_url,
        f"UPDATE {table} SET skills = 'sql', embedding = %s, embedding_version = 'v2'",
        (OTHER,),
    )
    assert row(database_url, table) == ("sql", OTHER, "v2")


def test_an_upsert_is_an_update_too(database_url: str, table: str) -> None:
    key = dict(TABLES)[table]
    run(
        database_url,
        f"INSERT INTO {table} ({key}, skills) VALUES (1, 'sql')"
        f" ON CONFLICT ({key}) DO UPDATE SET skills = excluded.skills",
    )
    assert row(database_url, table) == ("sql", None, None)


def test_a_text_that_another_trigger_changes_counts_as_changed(
    database_url: str, table: str
) -> None:
    run(
        database_url,
        "CREATE FUNCTION polish() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.skills := upper(NEW.skills); RETURN NEW; END $$;"
        f"CREATE TRIGGER polish BEFORE UPDATE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION polish()",
    )
    run(database_url, f"UPDATE {table} SET skills = skills")
    assert row(database_url, table) == ("PYTHON", None, None)


def test_the_type_of_the_text_can_still_be_changed(
    database_url: str, table: str
) -> None:
    run(database_url, f"ALTER TABLE {table} ALTER skills TYPE varchar(900)")
    run(database_url, f"UPDATE {table} SET skills = 'sql'")
    assert row(database_url, table) == ("sql", None, None)


@pytest.fixture
def listening(database_url: str) -> Iterator[Connection]:
    with closing(psycopg2.connect(database_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute("LISTEN embedding_wanted")
        yield connection


def heard(connection: Connection) -> list[str]:
    """What was announced until now: a notice is sent before the statement's answer."""
    connection.cursor().execute("SELECT 1")
    found = [notice.payload for notice in connection.notifies]
    connection.notifies.clear()
    return found


def test_new_and_changed_texts_are_announced_once_a_transaction(
    database_url: str, table: str, listening: Connection
) -> None:
    key = dict(TABLES)[table]
    run(
        database_url,
        f"INSERT INTO {table} ({key}, skills)"
        " SELECT n, 'x' FROM generate_series(2, 500) AS n",
    )
    assert heard(listening) == [table]
    run(database_url, f"UPDATE {table} SET skills = skills || '!'")
    assert heard(listening) == [table]


def test_a_bulk_copy_is_announced(
    database_url: str, table: str, listening: Connection
) -> None:
    key = dict(TABLES)[table]
    run(
        database_url, f"COPY {table} ({key}, skills) FROM PROGRAM 'printf \"2\\tx\\n\"'"
    )
    assert heard(listening) == [table]


def test_storing_an_embedding_is_not_announced(
    database_url: str, table: str, listening: Connection
) -> None:
    run(database_url, f"UPDATE {table} SET embedding = %s", (OTHER,))
    assert heard(listening) == []


def test_the_older_versions_backfill_still_works(database_url: str, table: str) -> None:
    run(
        database_url,
        f"UPDATE {table} SET embedding = %s, embedding_version = 'all-MiniLM-L6-v2'"
        " WHERE skills = 'python'",
        (OTHER,),
    )
    assert row(database_url, table) == ("python", OTHER, "all-MiniLM-L6-v2")
