"""What a database has lost: each trigger, function and index, and what restores it."""

import pytest
from psycopg2.sql import SQL, Identifier

from app.commands.embed import main as generate_embeddings
from app.commands.migrate import main as migrate
from app.storage.inspection import FUNCTIONS, INDEXES, TABLES
from tests.support.doctor import MIGRATE, MODEL_DIR, REPAIR, findings, statements
from tests.support.postgres import Server, fresh_database, run
from tests.support.rows import add_pending_jobs, add_user

# Made again as they are; others hang on more, or name what is served.
RESTORABLE = [
    name for name in TABLES if name not in ("entity", "identity", "migration")
]


@pytest.fixture(autouse=True)
def _environment(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MODEL_DIR", MODEL_DIR)
    run(database_url, "SELECT recommender.adopt()")  # a copy of a template


def repair() -> None:
    assert migrate(["--again"]) == 0


def test_all_that_is_looked_for_is_there(database_url: str) -> None:
    names = "SELECT {} FROM {} WHERE {} = 'recommender'::regnamespace"
    objects = run(database_url, names.format("relname", "pg_class", "relnamespace"))
    functions = run(database_url, names.format("proname", "pg_proc", "pronamespace"))
    assert {*TABLES, *INDEXES} <= {name for (name,) in objects}
    assert set(FUNCTIONS) == {name for (name,) in functions}


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_that_is_gone_is_named_and_comes_back(
    capsys: pytest.CaptureFixture[str], database_url: str, name: str
) -> None:
    run(database_url, SQL("DROP INDEX recommender.{}").format(Identifier(name)))
    problem = f"The database has no recommender.{name}, or it is broken."
    assert findings(capsys) == {problem: REPAIR}
    repair()
    assert findings(capsys) == {}


@pytest.mark.parametrize("name", RESTORABLE)
def test_a_table_that_is_gone_is_named_and_what_it_held_is_made_again(
    capsys: pytest.CaptureFixture[str], database_url: str, name: str
) -> None:
    add_pending_jobs(database_url, ["python", "sql, go"])
    add_user(database_url, 1, "go")
    assert generate_embeddings([]) == 0
    run(database_url, SQL("DROP TABLE recommender.{}").format(Identifier(name)))
    problem = f"The database has no recommender.{name}, or it is broken."
    assert findings(capsys)[problem] == REPAIR
    repair()
    # What the first look after it names is made by the commands that it names.
    for mend in statements(findings(capsys)):
        run(database_url, mend)
    generate_embeddings([])
    assert findings(capsys) == {}


@pytest.mark.parametrize("name", ["next_revision", "job_written", "is_user_key"])
def test_a_function_that_is_gone_is_named_and_comes_back(
    capsys: pytest.CaptureFixture[str], database_url: str, name: str
) -> None:
    run(
        database_url,
        SQL("DROP FUNCTION recommender.{} CASCADE").format(Identifier(name)),
    )
    problem = f"The database has no recommender.{name}, or it is broken."
    assert findings(capsys)[problem] == REPAIR
    repair()
    assert findings(capsys) == {}


@pytest.mark.parametrize(
    ("table", "trigger"),
    [
        ("skill", "set_revision"),
        ("skill", "new_vocabulary"),
        ("synonym", "updated"),
        ("job_state", "a_keep_own_row"),
        ("identity", "a_keep_own_row"),
    ],
)
@pytest.mark.parametrize("how", ["DISABLE TRIGGER", "DROP TRIGGER"])
def test_a_trigger_of_ours_that_is_off_is_named_and_comes_back(
    capsys: pytest.CaptureFixture[str],
    database_url: str,
    table: str,
    trigger: str,
    how: str,
) -> None:
    statement = (
        f"DROP TRIGGER {trigger} ON recommender.{table}"
        if how == "DROP TRIGGER"
        else f"ALTER TABLE recommender.{table} {how} {trigger}"
    )
    run(database_url, statement)
    problem = f"recommender.{table} has lost its trigger {trigger}."
    assert findings(capsys) == {problem: REPAIR}
    repair()
    assert findings(capsys) == {}


def test_the_trigger_of_titles_is_looked_for_where_titles_are_skills(
    capsys: pytest.CaptureFixture[str],
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(database_url, "ALTER TABLE skill_job1 ADD title text, ADD role text")
    monkeypatch.setenv("TITLE_COLUMN", "title")
    assert migrate([]) == 0
    assert findings(capsys) == {}
    run(database_url, "DROP TRIGGER recommender_titled ON skill_job1")
    problem = (
        "Edits of skill_job1 keep embeddings or skills of old texts: its trigger"
        " recommender_titled is missing or disabled."
    )
    assert findings(capsys) == {problem: MIGRATE}
    monkeypatch.setenv("TITLE_COLUMN", "role")
    assert MIGRATE in findings(capsys).values()
    assert migrate([]) == 0
    assert findings(capsys) == {}


def test_a_trigger_that_replication_passes_by_is_named(
    capsys: pytest.CaptureFixture[str], database_url: str
) -> None:
    run(database_url, "ALTER TABLE users ENABLE TRIGGER ALL")
    found = findings(capsys)
    for name in ("recommender_truncated", "recommender_written"):
        problem = (
            "Rows that replication writes to users are not recorded: its trigger"
            f" {name} is not enabled always."
        )
        assert found.pop(problem) == MIGRATE
    assert found == {}
    assert migrate([]) == 0
    assert findings(capsys) == {}


def test_a_trigger_of_that_name_that_is_not_ours_is_named(
    capsys: pytest.CaptureFixture[str], database_url: str
) -> None:
    run(
        database_url,
        "CREATE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN NULL; END $$; CREATE OR REPLACE TRIGGER recommender_written"
        " AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION theirs();"
        " ALTER TABLE users ENABLE ALWAYS TRIGGER recommender_written",
    )
    ((problem, mend),) = findings(capsys).items()
    assert problem == (
        "Edits of users are not recorded: its trigger recommender_written is not ours."
    )
    run(database_url, mend.partition(";")[0])
    repair()
    assert findings(capsys) == {}


def test_a_partition_whose_trigger_is_off_is_named(
    capsys: pytest.CaptureFixture[str],
    postgres: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with fresh_database(postgres, template="template1") as url:
        run(
            url,
            "CREATE TABLE skill_job1 (job_id int PRIMARY KEY, skills text)"
            " PARTITION BY RANGE (job_id);"
            "CREATE TABLE low PARTITION OF skill_job1 FOR VALUES FROM (0) TO (9);"
            'CREATE TABLE "the Rest" PARTITION OF skill_job1 DEFAULT',
        )
        monkeypatch.setenv("DATABASE_URL", url)
        assert migrate([]) == 0
        assert findings(capsys) == {}
        run(url, 'ALTER TABLE "the Rest" DISABLE TRIGGER ALL')
        run(url, "INSERT INTO skill_job1 (job_id, skills) VALUES (1, 'a'), (10, 'b')")
        found = findings(capsys)
        partition = (
            'Edits of the partition "the Rest" keep embeddings or skills of old'
            " texts: its trigger recommender_written is missing or disabled."
        )
        assert found["Some jobs have no state: job_id 10."] == REPAIR
        run(url, found[partition].partition(";")[0])
        repair()
        generate_embeddings([])
        assert findings(capsys) == {}


def test_a_copy_that_nobody_adopted_is_named(
    capsys: pytest.CaptureFixture[str],
    postgres: Server,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = run(database_url, "SELECT current_database()")[0][0]
    with fresh_database(postgres, template=name) as url:
        monkeypatch.setenv("DATABASE_URL", url)
        ((problem, mend),) = findings(capsys).items()
        assert problem.startswith("This database is a copy of another one:")
        assert mend == MIGRATE
        assert migrate([]) == 0
        assert findings(capsys) == {}


# --- ids without an index -----------------------------------------------------------

WITHOUT = "ALTER TABLE {table} DROP CONSTRAINT {table}_pkey; "
NO_INDEX = {
    "none": "",
    "another column first": "CREATE INDEX ON {table} (skills, {key})",
    "only some rows": "CREATE INDEX ON {table} ({key}) WHERE {key} > 5",
    "another expression": "CREATE INDEX ON {table} (abs({key}))",
    "no look-up": "CREATE INDEX ON {table} USING brin ({key})",
    "broken off": "CREATE INDEX broken ON {table} ({key}); UPDATE pg_index SET"
    " indisvalid = false WHERE indexrelid = 'broken'::regclass",
}
INDEXED = {
    "unique": "CREATE UNIQUE INDEX ON {table} ({key})",
    "many": "CREATE INDEX ON {table} ({key})",
    "hash": "CREATE INDEX ON {table} USING hash ({key})",
    "first of two": "CREATE INDEX ON {table} ({key} DESC, skills)",
    "with more in it": "CREATE INDEX ON {table} ({key}) INCLUDE (skills)",
}
KEYS = [("users", "user_id"), ("skill_job1", "job_id")]


@pytest.mark.parametrize(("table", "key"), KEYS)
@pytest.mark.parametrize("case", NO_INDEX)
def test_f88_ids_without_an_index_are_named_and_the_statement_builds_one(
    capsys: pytest.CaptureFixture[str],
    database_url: str,
    case: str,
    table: str,
    key: str,
) -> None:
    names = {"table": table, "key": key}
    run(database_url, (WITHOUT + NO_INDEX[case]).format(**names))
    ((problem, mend),) = findings(capsys).items()
    assert problem.startswith(f"{table} has no index on {key}, by which ")
    assert mend == f"CREATE INDEX CONCURRENTLY ON {table} ({key});"
    run(database_url, mend)
    assert findings(capsys) == {}


@pytest.mark.parametrize(("table", "key"), KEYS)
@pytest.mark.parametrize("case", INDEXED)
def test_f88_any_index_that_finds_an_id_is_enough(
    capsys: pytest.CaptureFixture[str],
    database_url: str,
    case: str,
    table: str,
    key: str,
) -> None:
    run(database_url, (WITHOUT + INDEXED[case]).format(table=table, key=key))
    assert findings(capsys) == {}


def test_f88_an_index_of_a_partitioned_table_is_not_built_concurrently(
    capsys: pytest.CaptureFixture[str],
    postgres: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with fresh_database(postgres, template="template1") as url:
        run(
            url,
            'CREATE SCHEMA "The team"; CREATE TABLE "The team".users'
            " (user_id uuid, region text, skills text[]) PARTITION BY LIST (region);"
            ' CREATE TABLE north PARTITION OF "The team".users DEFAULT',
        )
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("USERS_TABLE", '"The team".users')
        assert migrate([]) == 0
        ((problem, mend),) = findings(capsys).items()
        assert problem.startswith('"The team".users has no index on user_id')
        run(url, mend)
        assert findings(capsys) == {}


# --- servers that are too old -------------------------------------------------------

OLD = [(130_023, "13.23"), (90_624, "9.6.24"), (120_000, "12.0 (Debian 12.0-1)")]


def claim_to_be(url: str, number: int, name: str) -> None:
    """Let a server say that it is an older one: whoever asks finds our function."""
    run(
        url,
        "CREATE SCHEMA old; CREATE FUNCTION old.current_setting(text) RETURNS text"
        " LANGUAGE sql AS $$ SELECT CASE $1"
        f" WHEN 'server_version_num' THEN '{number}'"
        f" WHEN 'server_version' THEN '{name}'"
        " ELSE pg_catalog.current_setting($1) END $$",
    )
    database = run(url, "SELECT current_database()")[0][0]
    run(url, f"ALTER DATABASE {database} SET search_path = old, pg_catalog, public")


@pytest.mark.parametrize(("number", "name"), OLD)
def test_f89_a_server_that_is_too_old_is_said_and_nothing_is_changed(
    capsys: pytest.CaptureFixture[str],
    postgres: Server,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    name: str,
) -> None:
    sentence = f"PostgreSQL 14 or later is needed, and this is {name}."
    with fresh_database(postgres, template="template1") as url:
        monkeypatch.setenv("DATABASE_URL", url)
        claim_to_be(url, number, name)
        assert migrate([]) == 1
        assert capsys.readouterr().err == f"migrate: {sentence}\n"
        query = "SELECT to_regnamespace('recommender'), to_regclass('public.users')"
        assert run(url, query) == [(None, None)]
        assert list(findings(capsys)) == [sentence]


def test_f89_the_oldest_version_that_is_served_is_no_reason(
    capsys: pytest.CaptureFixture[str],
    postgres: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with fresh_database(postgres, template="template1") as url:
        monkeypatch.setenv("DATABASE_URL", url)
        claim_to_be(url, 140_000, "14.0")
        assert migrate([]) == 0
        assert findings(capsys) == {}
