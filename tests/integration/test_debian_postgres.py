"""Debian's PostgreSQL: an older version, with extensions and two-phase commit."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from app.commands.migrate import MigratedTables, migrate
from app.storage.connection.database import Database
from tests.support.encoders import HashEncoder
from tests.support.postgres import run
from tests.support.replicas import Node, Programs
from tests.support.rows import admit
from tests.support.service import free_port
from tests.support.skills import all_work, skills_of


@pytest.fixture(scope="module")
def programs(debian_postgres: Path) -> Programs:
    return Programs.of_debian(debian_postgres)


@pytest.fixture(scope="module")
def server(programs: Programs) -> Iterator[str]:
    """The connection string of a server for this module."""
    # Not the folder of the tests: it is closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="debian-", dir="/tmp"))
    if programs.user:
        shutil.chown(folder, programs.user)
    node = Node(programs, folder / "data", free_port())
    programs.run("initdb", "-D", str(node.data), "-A", "trust", "-U", "postgres")
    with (node.data / "postgresql.conf").open("a") as settings:
        settings.write("max_prepared_transactions = 5\n")
    node.start()
    yield node.url
    node.kill()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def url(server: str) -> Iterator[str]:
    run(server, "CREATE DATABASE fresh")
    yield server.replace("dbname=postgres", "dbname=fresh")
    run(server, "DROP DATABASE fresh WITH (FORCE)")


def made(url: str) -> None:
    with closing(Database(url, pool_size=1)) as database:
        for _ in all_work(database, HashEncoder()).run():
            pass


def test_f82_citext_is_a_text_whose_case_counts(url: str) -> None:
    run(
        url,
        "CREATE SCHEMA extensions; CREATE EXTENSION citext SCHEMA extensions;"
        "CREATE TABLE skill_job1 (job_id int PRIMARY KEY, skills extensions.citext);"
        "CREATE TABLE users (user_id int PRIMARY KEY, skills extensions.citext[]);"
        "INSERT INTO skill_job1 VALUES (1, 'python, sql');"
        "INSERT INTO users VALUES (1, '{sql,go}')",
    )
    list(migrate(url))
    made(url)
    assert skills_of(url) == [["python", "sql"]]
    assert skills_of(url, "user_state", "user_id") == [["sql", "go"]]
    run(url, "UPDATE skill_job1 SET skills = 'Python, SQL'")
    assert run(url, "SELECT state::text FROM recommender.job_state") == [("pending",)]


@pytest.mark.parametrize("type_", ["extensions.citext", "text COLLATE ci"])
def test_a_title_that_its_type_calls_equal_is_another_one(url: str, type_: str) -> None:
    run(
        url,
        "CREATE SCHEMA extensions; CREATE EXTENSION citext SCHEMA extensions;"
        "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level1',"
        " deterministic = false);"
        f"CREATE TABLE skill_job1 (job_id int PRIMARY KEY, title {type_}, skills text);"
        "INSERT INTO skill_job1 VALUES (1, 'STRASSE', 'paving')",
    )
    list(migrate(url, tables=MigratedTables(title_column="title")))
    made(url)
    assert skills_of(url) == [["paving", "strasse"]]
    # Equal to citext but for its case; to the collation, but for its accent.
    run(url, "UPDATE skill_job1 SET title = 'Strässe' WHERE title = 'STRASSE'")
    made(url)
    assert skills_of(url) == [["paving", "strässe"]]


@pytest.mark.parametrize(
    "locale", ["und-u-ks-level1", "und-u-ks-level2", "de@colStrength=secondary"]
)
def test_f87_collations_that_are_not_deterministic_stop_no_statement(
    url: str, locale: str
) -> None:
    run(
        url,
        f"CREATE COLLATION ci (provider = icu, locale = '{locale}',"
        " deterministic = false);"
        "CREATE TABLE skill_job1 (job_id text COLLATE ci PRIMARY KEY,"
        " skills text COLLATE ci);"
        "CREATE TABLE users (user_id text COLLATE ci PRIMARY KEY,"
        " skills text COLLATE ci);"
        "INSERT INTO skill_job1 VALUES ('a', 'python'), ('B', ' ');"
        "INSERT INTO users VALUES ('u', 'sql'), ('V', NULL)",
    )
    list(migrate(url))
    made(url)
    run(url, "INSERT INTO skill_job1 VALUES ('c', 'rust')")
    run(url, "UPDATE skill_job1 SET skills = 'Python' WHERE job_id = 'A'")
    run(url, "INSERT INTO users VALUES ('w', 'go'), ('x', '')")
    run(url, "UPDATE users SET skills = 'SQL'; DELETE FROM users WHERE user_id = 'W'")
    admit(url)
    query = "SELECT {0}_id, state::text FROM recommender.{0}_state ORDER BY 1"
    waits = "pending"
    assert run(url, query.format("job")) == [("a", waits), ("B", "blank"), ("c", waits)]
    assert [id_ for id_, state in run(url, query.format("user")) if state == waits] == [
        "u",
        "V",
        "x",
    ]
    made(url)
    assert skills_of(url) == [["python"], None, ["rust"]]


def test_f95_writes_are_part_of_a_two_phase_commit(url: str) -> None:
    list(migrate(url))
    with closing(psycopg2.connect(url)) as connection:
        cursor = connection.cursor()
        cursor.execute("INSERT INTO skill_job1 (job_id, skills) VALUES (1, 'sql')")
        cursor.execute("INSERT INTO users (user_id, skills) VALUES (1, 'sql')")
        cursor.execute("PREPARE TRANSACTION 'both'")
    assert run(url, "SELECT * FROM recommender.job_state") == []
    run(url, "COMMIT PREPARED 'both'")
    admit(url)
    for table in ("job_state", "user_state"):
        assert run(url, f"SELECT state::text FROM recommender.{table}") == [
            ("pending",)
        ]
    made(url)
    assert skills_of(url) == [["sql"]]


def test_f92_a_dump_is_restored_whole_with_its_triggers(
    url: str, server: str, programs: Programs, tmp_path: Path
) -> None:
    list(migrate(url))
    run(url, "INSERT INTO skill_job1 (job_id, skills) VALUES (1, 'sql, go')")
    run(url, "INSERT INTO users (user_id, skills) VALUES (1, 'sql')")
    made(url)
    run(url, "INSERT INTO skill_job1 (job_id, skills) VALUES (2, 'waits')")
    dump = tempfile.mkdtemp(prefix="dump-", dir="/tmp")
    if programs.user:
        shutil.chown(dump, programs.user)
    file = f"{dump}/dump"
    programs.run("pg_dump", "-Fc", "-f", file, url)
    run(server, "CREATE DATABASE restored")
    target = server.replace("dbname=postgres", "dbname=restored")
    try:
        programs.run("pg_restore", "--exit-on-error", "-d", target, file)
        query = (
            "SELECT tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger"
            " WHERE NOT tgisinternal ORDER BY 1, 2"
        )
        assert run(target, query) == run(url, query)
        assert skills_of(target) == [["sql", "go"]]
        assert run(target, "SELECT id FROM recommender.new_job") == [("2",)]
        assert list(migrate(target)) == []
        made(target)
        assert skills_of(target) == [["sql", "go"], ["waits"]]
        run(target, "UPDATE skill_job1 SET skills = 'x' WHERE job_id = 1")
        assert skills_of(target)[0] is None
    finally:
        shutil.rmtree(dump, ignore_errors=True)
        run(server, "DROP DATABASE restored WITH (FORCE)")
