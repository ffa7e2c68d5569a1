"""The triggers: derived data never outlives its text, in any statement."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from app.backfill import Backfill
from app.storage.connection.database import Database
from app.storage.entity import EntityName
from tests.support.encoders import HashEncoder
from tests.support.postgres import run
from tests.support.rows import admit

VECTOR = b"\1" * 1536
OTHER = b"\2" * 1536


@dataclass(frozen=True)
class Made:
    """The derived data of row 1."""

    state: str | None
    embedding: bytes | None
    has_skills: bool


FORGOTTEN = Made("pending", None, has_skills=False)


@dataclass(frozen=True)
class Table:
    """A table with row 1, embedded and with its skills."""

    url: str
    name: str
    key: str

    def run(self, statement: str, *parameters: object) -> None:
        run(self.url, statement.format(table=self.name, key=self.key), parameters)

    def made(self) -> Made:
        stored, state = {
            "skill_job1": ("skill_job1", "job_state"),
            "users": ("recommender.user_state", "user_state"),
        }[self.name]
        admit(self.url)
        query = f"SELECT embedding FROM {stored} WHERE {self.key} = 1"
        embedding = [row[0] for row in run(self.url, query)]
        query = f"SELECT state::text, skill_ids IS NOT NULL FROM recommender.{state}"
        found = run(self.url, f"{query} WHERE {self.key} = 1 AND state <> 'gone'")
        if not found:
            return Made(None, None, has_skills=False)
        vector = embedding[0] and bytes(embedding[0])
        return Made(found[0][0], vector, has_skills=found[0][1])


TABLES: list[tuple[str, str, EntityName]] = [
    ("skill_job1", "job_id", "jobs"),
    ("users", "user_id", "users"),
]


@pytest.fixture(params=TABLES, ids=lambda row: row[0])
def table(
    request: pytest.FixtureRequest, database: Database, database_url: str
) -> Table:
    name, key, entity = request.param
    made = Table(database_url, name, key)
    made.run("INSERT INTO {table} ({key}, skills) VALUES (1, 'python')")
    for _ in Backfill(database, HashEncoder(), batch_size=4, entity=entity).run():
        pass
    assert made.made().state == "embedded"
    return made


@pytest.fixture
def job(database: Database, database_url: str) -> Table:
    made = Table(database_url, "skill_job1", "job_id")
    made.run("INSERT INTO {table} ({key}, skills) VALUES (1, 'python')")
    for _ in Backfill(database, HashEncoder(), batch_size=4).run():
        pass
    return made


@pytest.mark.parametrize("skills", ["'sql'", "'Python'", "'python '"])
def test_every_change_counts_be_it_only_of_case_or_space(
    table: Table, skills: str
) -> None:
    table.run(f"UPDATE {{table}} SET skills = {skills}")
    assert table.made() == FORGOTTEN


@pytest.mark.parametrize("skills", ["NULL", "''", "' \n'"])
def test_a_text_that_is_emptied_leaves_nothing_behind(
    table: Table, skills: str
) -> None:
    table.run(f"UPDATE {{table}} SET skills = {skills}")
    made = table.made()
    assert made.state in ("blank", None)
    assert (made.embedding, made.has_skills) == (None, False)


def test_an_update_that_leaves_the_text_alone_keeps_all(table: Table) -> None:
    before = table.made()
    table.run("ALTER TABLE {table} ADD COLUMN title text")
    table.run("UPDATE {table} SET skills = skills, title = 'x'")
    assert table.made() == before


@pytest.mark.parametrize("vector", [None, VECTOR, OTHER], ids=["none", "its", "other"])
def test_f90_a_change_of_text_deletes_the_derived_data_in_any_statement(
    job: Table, vector: bytes | None
) -> None:
    job.run("UPDATE {table} SET embedding = %s WHERE {key} = 1", VECTOR)
    job.run(
        "UPDATE {table} SET skills = 'sql', embedding = %s,"
        " embedding_version = 'all-MiniLM-L6-v2'",
        vector,
    )
    assert job.made() == FORGOTTEN


def test_f90_an_orm_that_read_before_and_writes_after_others_keeps_nothing_old(
    job: Table, database: Database
) -> None:
    ((old,),) = run(job.url, "SELECT embedding FROM skill_job1")
    job.run("UPDATE {table} SET skills = 'sql'")
    for _ in Backfill(database, HashEncoder(), batch_size=4).run():
        pass
    # Full-row writes, of what was read before: with the text of a third.
    job.run("UPDATE {table} SET skills = 'rust', embedding = %s", old)
    assert job.made() == FORGOTTEN
    # And with the embedding that was read while there was none.
    for _ in Backfill(database, HashEncoder(), batch_size=4).run():
        pass
    job.run("UPDATE {table} SET skills = 'rust', embedding = NULL")
    assert job.made() == Made("pending", None, has_skills=True)


def test_an_embedding_that_the_guides_own_script_writes_is_taken(job: Table) -> None:
    job.run("UPDATE {table} SET embedding = %s, embedding_version = NULL", OTHER)
    assert job.made() == Made("embedded", OTHER, has_skills=True)
    job.run("UPDATE {table} SET embedding = %s", OTHER[:-1])
    assert job.made().state == "malformed"
    job.run("UPDATE {table} SET embedding = %s, embedding_version = 'other'", OTHER)
    assert job.made().state == "stale"


def test_an_upsert_is_an_update_too(table: Table) -> None:
    table.run(
        "INSERT INTO {table} ({key}, skills) VALUES (1, 'sql')"
        " ON CONFLICT ({key}) DO UPDATE SET skills = excluded.skills"
    )
    assert table.made() == FORGOTTEN


def test_deleted_and_inserted_in_one_transaction_counts_as_changed(job: Table) -> None:
    job.run(
        "BEGIN; CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM {table};"
        " DELETE FROM {table}; UPDATE kept SET skills = 'sql';"
        " INSERT INTO {table} SELECT * FROM kept; COMMIT"
    )
    assert job.made() == FORGOTTEN


@pytest.mark.parametrize("statement", ["DELETE FROM {table}", "TRUNCATE {table}"])
def test_a_row_that_is_gone_is_known_no_more(table: Table, statement: str) -> None:
    table.run(statement)
    assert table.made().state is None
    table.run("INSERT INTO {table} ({key}, skills) VALUES (1, 'sql')")
    assert table.made() == FORGOTTEN


def test_a_reader_of_changes_finds_deleted_jobs(job: Table) -> None:
    ((xmin,),) = run(job.url, "SELECT pg_snapshot_xmin(pg_current_snapshot())::text")
    job.run("DELETE FROM {table}")
    query = "SELECT job_id, state::text FROM recommender.job_state WHERE changed >= %s"
    assert run(job.url, query, (xmin,)) == [(1, "gone")]


def test_a_row_that_gets_another_id_is_known_under_that_one(table: Table) -> None:
    table.run("UPDATE {table} SET {key} = 2")
    assert table.made().state is None
    table.run("UPDATE {table} SET {key} = 1")
    assert table.made().state in ("pending", "embedded")
    assert not table.made().has_skills


@pytest.mark.parametrize("name", ["aaa_polish", "zzz_polish"])
def test_a_text_that_another_trigger_changes_counts_as_changed(
    table: Table, name: str
) -> None:
    table.run(
        "CREATE FUNCTION polish() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.skills := upper(NEW.skills); RETURN NEW; END $$;"
        f" CREATE TRIGGER {name} BEFORE UPDATE ON {{table}}"
        " FOR EACH ROW EXECUTE FUNCTION polish()"
    )
    table.run("UPDATE {table} SET skills = skills")
    assert table.made() == FORGOTTEN


def test_the_type_of_the_text_can_still_be_changed(table: Table) -> None:
    table.run("ALTER TABLE {table} ALTER skills TYPE varchar(900)")
    table.run("UPDATE {table} SET skills = 'sql'")
    assert table.made() == FORGOTTEN


def test_writes_of_a_role_that_knows_nothing_of_ours_are_recorded(
    table: Table,
) -> None:
    table.run(
        "CREATE ROLE team_editor;"
        " GRANT SELECT, INSERT, DELETE ON {table} TO team_editor;"
        " GRANT UPDATE (skills) ON {table} TO team_editor"
    )
    try:
        table.run("SET ROLE team_editor; UPDATE {table} SET skills = 'sql'")
        assert table.made() == FORGOTTEN
        table.run("SET ROLE team_editor; DELETE FROM {table}")
        assert table.made().state is None
    finally:
        table.run("DROP OWNED BY team_editor; DROP ROLE team_editor")


def test_a_search_path_full_of_traps_is_not_followed(table: Table) -> None:
    table.run(
        "CREATE SCHEMA trap;"
        " CREATE FUNCTION trap.same(text, text) RETURNS boolean LANGUAGE sql"
        " AS 'SELECT true';"
        " CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text,"
        " FUNCTION = trap.same);"
        " SET search_path = trap, pg_catalog, public;"
        " UPDATE {table} SET skills = 'sql'"
    )
    assert table.made() == FORGOTTEN


@pytest.fixture
def other(database_url: str) -> Iterator[Connection]:
    with closing(psycopg2.connect(database_url)) as connection:
        yield connection


def test_f95_writers_do_not_wait_for_one_another(
    table: Table, other: Connection
) -> None:
    other.cursor().execute(
        f"INSERT INTO {table.name} ({table.key}, skills) VALUES (2, 'sql')"
    )
    table.run(
        "SET lock_timeout = '1s'; INSERT INTO {table} ({key}, skills) VALUES (3, 'go')"
    )
    other.rollback()


def test_f95_writes_can_be_part_of_a_two_phase_commit(
    postgres: object, table: Table, other: Connection
) -> None:
    if run(table.url, "SHOW max_prepared_transactions") == [("0",)]:
        # PREPARE itself is off here; what it forbids is a NOTIFY, and there is none.
        query = "SELECT count(*) FROM pg_proc WHERE prosrc ILIKE '%notify%'"
        where = " AND pronamespace = 'recommender'::regnamespace"
        assert run(table.url, query + where) == [(0,)]
        return
    cursor = other.cursor()
    cursor.execute(f"UPDATE {table.name} SET skills = 'sql'")
    cursor.execute("PREPARE TRANSACTION 'both'")
    table.run("COMMIT PREPARED 'both'")
    assert table.made() == FORGOTTEN
