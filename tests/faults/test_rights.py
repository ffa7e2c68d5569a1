"""Roles with and without privileges, schemas with and without columns."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
from psycopg2.sql import SQL

from app.backfill import Backfill, Progress
from app.commands import migrate
from app.commands.migration_files import MIGRATIONS_FOLDER
from app.deadline import Deadline
from app.storage.connection.database import Database
from tests.faults.conftest import QUESTION, assert_unavailable, wait_for_answer
from tests.support.cluster import Cluster
from tests.support.encoders import HashEncoder
from tests.support.postgres import run
from tests.support.rows import add_job, add_user
from tests.support.service import Service, running_service
from tests.support.skills import all_work, total_of

PASSWORD = "a-secret-of-this-test"


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    """A migrated database with one job, one user and a table of another owner."""
    name = "rights"
    run(cluster.url, f"CREATE DATABASE {name}")
    url = cluster.url.replace("/jobs?", f"/{name}?")
    list(migrate.migrate(url))
    add_job(url, 1, "cooking")
    add_user(url, 1, "cooking")
    run(url, "CREATE TABLE payroll (salary int)")
    yield url
    run(cluster.url, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def login(url: str, options: str) -> Iterator[str]:
    """The connection string of a new role with these options."""
    run(url, f"CREATE ROLE visitor LOGIN {options}")
    try:
        yield url.replace("postgres:@", "visitor:@")
    finally:
        run(url, "DROP OWNED BY visitor")
        run(url, "DROP ROLE visitor")


@contextmanager
def supabase_roles(url: str) -> Iterator[None]:
    """The two roles of Supabase's public API, with the grants it gives them."""
    for role in ("anon", "authenticated"):
        run(url, f"CREATE ROLE {role} NOLOGIN")
        run(url, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    try:
        yield
    finally:
        for role in ("anon", "authenticated"):
            run(url, f"DROP OWNED BY {role}")
            run(url, f"DROP ROLE {role}")


def may(url: str, role: str, statement: str) -> bool:
    """Whether `role` may run the statement, by trying it."""
    try:
        run(url, f"SET ROLE {role}; {statement}")
    except psycopg2.errors.InsufficientPrivilege:
        return False
    return True


def test_f43_a_wrong_password_is_503_and_no_secret_in_log_or_answer(
    cluster: Cluster, tmp_path: Path
) -> None:
    run(cluster.url, f"CREATE ROLE locked LOGIN PASSWORD '{PASSWORD}'")
    cluster.demand_password_of("locked")
    url = cluster.url.replace("postgres:@", f"locked:not-{PASSWORD}@")
    with running_service(url, tmp_path / "log") as service:
        for response in (
            service.recommend(**QUESTION),
            service.client.get("/readyz"),
        ):
            assert_unavailable(response)
            assert response.json()["detail"] == (
                "The database refused the service's credentials; check DATABASE_URL."
            )
            assert PASSWORD not in response.text
        assert service.client.get("/healthz").status_code == 200
    assert PASSWORD not in service.log
    assert "locked" not in service.log


@pytest.mark.parametrize(
    ("damage", "detail"),
    [
        ("DROP TABLE users CASCADE", "The database has no table of users; "),
        (
            "ALTER TABLE skill_job1 DROP COLUMN embedding CASCADE",
            "The table skill_job1 has no column embedding; ",
        ),
        (
            "ALTER TABLE users RENAME COLUMN skills TO abilities",
            "The table users has no column skills; ",
        ),
    ],
)
def test_f44_readiness_names_the_missing_part_and_the_command_that_fixes_it(
    url: str, tmp_path: Path, damage: str, detail: str
) -> None:
    run(url, damage)
    with running_service(url, tmp_path / "log") as service:
        for response in (service.client.get("/readyz"), service.recommend(**QUESTION)):
            assert_unavailable(response)
            assert response.json()["detail"] == (
                f"{detail}run `python scripts/migrate.py`."
            )


def test_f44_a_column_that_is_dropped_later_is_reported(
    url: str, tmp_path: Path
) -> None:
    with running_service(url, tmp_path / "log") as service:
        wait_for_answer(service)
        run(url, "ALTER TABLE skill_job1 RENAME COLUMN embedding TO elsewhere")
        response = service.recommend(**QUESTION)
        assert_unavailable(response)
        assert "run `python scripts/migrate.py`" in response.json()["detail"]
        run(url, "ALTER TABLE skill_job1 RENAME COLUMN elsewhere TO embedding")
        wait_for_answer(service)


@pytest.mark.parametrize("table", ["skill_job1", "users"])
def test_f45_hidden_rows_are_an_error_and_never_an_empty_answer(
    url: str, tmp_path: Path, table: str
) -> None:
    run(url, f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    with login(url, "IN ROLE job_recommender") as visitor:
        # Without `row_security = off` there would be no row and no error.
        assert run(visitor, f"SELECT count(*) FROM {table}") == [(0,)]
        with running_service(visitor, tmp_path / "log") as service:
            response = service.recommend(user_id=1)
            assert_unavailable(response)
            assert "row-level security" in response.json()["detail"]


@pytest.fixture
def reader(url: str, tmp_path: Path) -> Iterator[Service]:
    """A service with the least privileges, and row-level security on."""
    run(url, "ALTER TABLE users ENABLE ROW LEVEL SECURITY")
    with (
        login(url, "BYPASSRLS IN ROLE job_recommender") as visitor,
        running_service(visitor, tmp_path / "log") as service,
    ):
        yield service


def test_f76_the_services_role_reads_two_tables_and_writes_only_feedback_and_exposures(
    reader: Service, url: str
) -> None:
    assert reader.recommend(user_id=1).json()["recommendations"][0]["job_id"] == 1
    assert reader.client.get("/readyz").status_code == 200
    event = {"user_id": 1, "job_id": 1, "event": "saved"}
    for undo, stored in ((False, 1), (True, 0)):
        given = reader.client.post("/api/feedback", json={**event, "undo": undo})
        assert given.status_code == 200, given.text
        mine = reader.client.get("/api/users/1/feedback").json()["feedback"]
        assert len(mine) == stored
    shown = "INSERT INTO recommender.exposure VALUES ('1', now(), '{1}', true)"
    assert may(url, "visitor", shown)
    assert may(url, "visitor", "DELETE FROM recommender.exposure")
    for forbidden in (
        "UPDATE skill_job1 SET skills = ''",
        "UPDATE skill_job1 SET embedding = NULL",
        "INSERT INTO skill_job1 (skills) VALUES ('x')",
        "DELETE FROM skill_job1",
        "TRUNCATE users",
        "UPDATE users SET skills = ''",
        "INSERT INTO users (skills) VALUES ('x')",
        "DELETE FROM users",
        "UPDATE recommender.feedback SET user_id = ''",
        "TRUNCATE recommender.feedback",
        "UPDATE recommender.exposure SET user_id = ''",
        "TRUNCATE recommender.exposure",
        "DELETE FROM recommender.recommendation",
        "SELECT * FROM payroll",
        "CREATE TABLE mine (x int)",
        "ALTER TABLE users ADD COLUMN x int",
        "DROP TABLE users",
    ):
        assert not may(url, "visitor", forbidden), forbidden


def test_f76_the_workers_role_writes_embeddings_and_nothing_else(url: str) -> None:
    run(url, "UPDATE skill_job1 SET embedding = NULL")
    with login(url, "IN ROLE job_recommender_worker") as visitor:
        database = Database(visitor, pool_size=1)
        done = list(Backfill(database, HashEncoder(), batch_size=8).run())
        assert [progress.embedded for progress in done] == [1]
        with database.snapshot(Deadline.after(30)) as transaction:
            found = transaction.rows(SQL("SELECT embedding IS NULL FROM skill_job1"))
        assert found == [(False,)]
        database.close()
        for forbidden in (
            "UPDATE skill_job1 SET skills = ''",
            "DELETE FROM skill_job1",
            "UPDATE users SET skills = ''",
            "SELECT * FROM payroll",
        ):
            assert not may(url, "visitor", forbidden), forbidden


def test_f76_the_roles_reach_for_ranking_by_skills_too(
    url: str, tmp_path: Path
) -> None:
    with login(url, "IN ROLE job_recommender_worker") as visitor:
        database = Database(visitor, pool_size=1)
        work = all_work(database, HashEncoder())
        # The job has its embedding, and neither has its skills.
        assert total_of(work.run()) == Progress(embedded=1, split=1)
        assert total_of(work.run()) == Progress()
        assert not work.any_waiting()
        assert work.vocabulary.remove_unused() == 0
        database.close()
    with (
        login(url, "IN ROLE job_recommender") as visitor,
        running_service(
            visitor, tmp_path / "log", SKILL_CACHE_DIR=str(tmp_path / "cache")
        ) as service,
    ):
        answer = service.recommend(user_id=1, rank_by="skills")
        assert answer.status_code == 200, answer.text
        for forbidden in (
            "INSERT INTO recommender.skill (skill) VALUES ('x')",
            "UPDATE recommender.skill_vocabulary SET revision = 0",
            "UPDATE recommender.job_state SET skill_ids = NULL",
        ):
            assert not may(url, "visitor", forbidden), forbidden


def test_f76_a_migrating_role_that_may_not_create_roles_is_not_stopped(
    cluster: Cluster,
) -> None:
    run(cluster.url, "CREATE ROLE owner_only LOGIN")
    run(cluster.url, "CREATE DATABASE owned OWNER owner_only")
    # Roles belong to the whole server; for this test they must not exist.
    script = (MIGRATIONS_FOLDER / "0009_roles.sql").read_text()
    absent = script.replace("job_recommender", "nobody_yet")
    url = cluster.url.replace("/jobs?", "/owned?").replace("postgres:@", "owner_only:@")
    list(migrate.migrate(url))
    run(url, absent)
    assert run(url, "SELECT FROM pg_roles WHERE rolname LIKE 'nobody_yet%'") == []
    run(cluster.url, "DROP DATABASE owned WITH (FORCE)")
    run(cluster.url, "DROP ROLE owner_only")


def test_f77_f97_strangers_reach_nothing_in_our_schema(url: str) -> None:
    tables = run(
        url,
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = 'recommender'::regnamespace",
    )
    functions = run(
        url,
        "SELECT oid::regprocedure::text FROM pg_proc"
        " WHERE pronamespace = 'recommender'::regnamespace AND proname <> 'as_text'",
    )
    assert len(tables) > 10
    with supabase_roles(url):
        for stranger in ("anon", "authenticated"):
            for (table,) in tables:
                assert not may(url, stranger, f"SELECT * FROM {table}"), table
                assert not may(url, stranger, f"DELETE FROM {table}"), table
            for (function,) in functions:
                query = "SELECT has_function_privilege(%s, %s, 'EXECUTE')"
                assert run(url, query, (stranger, function)) == [(False,)], function


def test_f97_the_default_touches_no_right_of_the_teams(url: str) -> None:
    with supabase_roles(url):
        query = (
            "SELECT relname, relacl::text, relrowsecurity FROM pg_class"
            " WHERE relname IN ('skill_job1', 'users') ORDER BY relname"
        )
        before = run(url, query)
        list(migrate.migrate(url))
        assert run(url, query) == before
        assert may(url, "anon", "SELECT skills FROM users")
        list(migrate.migrate(url, extras=["supabase-close"]))
        assert not may(url, "anon", "SELECT skills FROM users")


@pytest.mark.parametrize("role", ["job_recommender", "job_recommender_worker"])
def test_f97_the_roles_read_the_columns_that_are_needed_and_no_other(
    url: str, role: str
) -> None:
    run(
        url,
        "ALTER TABLE users ADD password_hash text; ALTER TABLE skill_job1 ADD pay int",
    )
    list(migrate.migrate(url))
    for forbidden in ("SELECT password_hash FROM users", "SELECT pay FROM skill_job1"):
        assert not may(url, role, forbidden), forbidden
    for allowed in (
        "SELECT user_id, skills FROM users",
        "SELECT job_id FROM skill_job1",
    ):
        assert may(url, role, allowed), allowed
    list(migrate.migrate(url, tables=migrate.MigratedTables(job_columns=["pay"])))
    assert may(url, role, "SELECT pay FROM skill_job1")


@pytest.mark.parametrize("role", ["job_recommender", "job_recommender_worker"])
def test_the_roles_read_the_titles_that_are_skills(url: str, role: str) -> None:
    run(url, "ALTER TABLE skill_job1 ADD title text")
    list(migrate.migrate(url))
    assert not may(url, role, "SELECT title FROM skill_job1")
    list(migrate.migrate(url, tables=migrate.MigratedTables(title_column="title")))
    assert may(url, role, "SELECT title FROM skill_job1")


def test_f77_strangers_of_supabases_public_api_cannot_read_users_or_embeddings(
    url: str,
) -> None:
    migration = (
        MIGRATIONS_FOLDER / "supabase-close" / "2000_close_public_api.sql"
    ).read_text()
    with supabase_roles(url):
        assert may(url, "anon", "SELECT skills FROM users")
        for _ in range(2):  # it may be pasted into an editor again
            run(url, migration)
        for stranger in ("anon", "authenticated"):
            for forbidden in (
                "SELECT skills FROM users",
                "INSERT INTO users (skills) VALUES ('x')",
                "UPDATE users SET skills = ''",
                "DELETE FROM users",
                "SELECT embedding FROM skill_job1",
                "SELECT * FROM skill_job1",
                "UPDATE skill_job1 SET embedding = NULL",
                "INSERT INTO skill_job1 (embedding) VALUES (NULL)",
            ):
                assert not may(url, stranger, forbidden), forbidden
            # A public job board still works: its listing names its columns.
            assert may(url, stranger, "SELECT job_id, skills FROM skill_job1")
        # Row-level security: even a restored grant shows no row.
        run(url, "GRANT SELECT ON users TO anon")
        assert run(url, "SET ROLE anon; SELECT count(*) FROM users") == [(0,)]
        # The owner sees all rows.
        assert run(url, "SELECT count(*) FROM users") == [(1,)]
