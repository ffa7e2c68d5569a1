"""Whatever search path a session has: our functions mean what they were written for."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from app.commands.build_vector_index import main as build_vector_index
from app.commands.embed import main as generate_embeddings
from app.commands.migrate import main as migrate
from app.deadline import Deadline
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from tests.support.doctor import MODEL_DIR, findings
from tests.support.postgres import Server, fresh_database, run
from tests.support.rows import add_pending_jobs, add_user, admit

# Each kind of statement that a trigger of ours sees, and what is recorded after it.
STATEMENTS = [
    (
        "INSERT INTO public.skill_job1 (job_id, skills) VALUES (1, 'a'), (2, NULL)",
        ["pending", "blank"],
    ),
    ("UPDATE public.skill_job1 SET skills = 'b'", ["pending", "pending"]),
    (
        "UPDATE public.skill_job1 SET embedding = 'x', embedding_version = 'y'",
        ["stale", "stale"],
    ),
    (
        "UPDATE public.skill_job1 SET skills = 'c', embedding = 'z'",
        ["pending", "pending"],
    ),
    ("UPDATE public.skill_job1 SET job_id = job_id + 1 WHERE job_id = 2",
     ["pending", "gone", "pending"]),
    ("DELETE FROM public.skill_job1 WHERE job_id = 1", ["gone", "gone", "pending"]),
    ("TRUNCATE public.skill_job1", ["gone", "gone", "gone"]),
]  # fmt: skip
USER_STATEMENTS = [
    ("INSERT INTO public.users VALUES (1, 'a'), (2, NULL)", ["pending"]),
    ("UPDATE public.users SET skills = 'b'", ["pending", "pending"]),
    ("UPDATE public.users SET skills = ' ' WHERE user_id = 1", ["pending"]),
    ("UPDATE public.users SET user_id = 7 WHERE user_id = 2", ["pending"]),
    ("DELETE FROM public.users", []),
    ("INSERT INTO public.users VALUES (5, 'a')", ["pending"]),
    ("TRUNCATE public.users", []),
]
TYPES = (
    "oid", "text", "varchar", "bigint", "integer", "boolean", "bytea", "name", "uuid",
    "regtype", "xid8", "recommender.row_state",
)  # fmt: skip
FUNCTIONS = (
    "octet_length(bytea)", "array_to_string(text[], text)", "pg_current_xact_id()",
    "format(text, text)", "jsonb_typeof(jsonb)", "clock_timestamp()", "now()",
    "pg_typeof(anyelement)", "hashtext(text)", "unnest(text[])", "min(text)",
)  # fmt: skip
PATHS = ["''", "pg_catalog", "hostile, pg_catalog, public", "pg_temp, hostile, public"]


@pytest.fixture
def url(database_url: str) -> str:
    """With a schema whose operators and functions note who calls them."""
    run(
        database_url,
        "CREATE SCHEMA hostile; CREATE TABLE hostile.seen (who text);"
        "CREATE FUNCTION hostile.note() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO hostile.seen VALUES (current_user); RETURN true; END $$;"
        "GRANT ALL ON SCHEMA hostile TO PUBLIC; GRANT ALL ON hostile.seen TO PUBLIC",
    )
    body = "LANGUAGE sql AS $$ SELECT hostile.note() $$"
    for type_ in TYPES:
        function = f"hostile.two({type_}, {type_})"
        run(database_url, f"CREATE FUNCTION {function} RETURNS boolean {body}")
        for operator in ("=", "<>", "<", ">", "~", "||", "+"):
            run(
                database_url,
                f"CREATE OPERATOR hostile.{operator} (LEFTARG = {type_},"
                f" RIGHTARG = {type_}, FUNCTION = hostile.two)",
            )
    for function in FUNCTIONS:
        run(database_url, f"CREATE FUNCTION hostile.{function} RETURNS boolean {body}")
    return database_url


@pytest.mark.parametrize("path", PATHS)
def test_f99_the_teams_statements_call_no_function_of_a_hostile_path(
    url: str, path: str
) -> None:
    for table, statements in (("job", STATEMENTS), ("user", USER_STATEMENTS)):
        for statement, states in statements:
            run(url, f"SET search_path = {path}; {statement}")
            admit(url)
            query = (
                f"SELECT state::text FROM recommender.{table}_state ORDER BY {table}_id"
            )
            assert run(url, query) == [(state,) for state in states], statement
    assert run(url, "SELECT * FROM hostile.seen") == []


@pytest.mark.parametrize("path", PATHS)
def test_f99_migrations_and_commands_work_with_any_path_of_the_database(
    capsys: pytest.CaptureFixture[str],
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("MODEL_DIR", MODEL_DIR)
    monkeypatch.setenv("JOBS_TABLE", "public.skill_job1")
    monkeypatch.setenv("USERS_TABLE", "public.users")
    add_pending_jobs(url, ["python", "sql, go"])
    add_user(url, 1, "go")
    database = run(url, "SELECT current_database()")[0][0]
    if "hostile" not in path:
        run(url, f"ALTER DATABASE {database} SET search_path = {path}")
        assert migrate(["--again"]) == 0
    assert migrate([]) == 0
    assert generate_embeddings([]) == 0
    assert findings(capsys) == {}


@pytest.fixture
def empty_url(postgres: Server) -> Iterator[str]:
    with fresh_database(postgres, template="template1") as url:
        yield url


@pytest.mark.parametrize("schema", ['"Ext, of ours"', "pg_vector", "extensions"])
def test_f99_pgvector_may_lie_in_any_schema_and_no_role_needs_it_in_its_path(
    capsys: pytest.CaptureFixture[str],
    empty_url: str,
    monkeypatch: pytest.MonkeyPatch,
    schema: str,
) -> None:
    schema = schema.replace("pg_vector", "vector_")
    monkeypatch.setenv("DATABASE_URL", empty_url)
    monkeypatch.setenv("MODEL_DIR", MODEL_DIR)
    monkeypatch.setenv("SEARCH_BACKEND", "pgvector")
    run(empty_url, f"CREATE SCHEMA {schema}; CREATE EXTENSION vector SCHEMA {schema}")
    assert migrate(["--with", "pgvector"]) == 0
    add_pending_jobs(empty_url, ["python", "sql, go"])
    assert generate_embeddings([]) == 0
    assert build_vector_index([]) == 0
    assert findings(capsys) == {}
    database = run(empty_url, "SELECT current_database()")[0][0]
    run(empty_url, f"ALTER DATABASE {database} SET search_path = ''")
    run(empty_url, "UPDATE public.skill_job1 SET skills = 'rust' WHERE job_id = 1")
    query = "SELECT job_id FROM recommender.job_vector ORDER BY 1"
    assert run(empty_url, query) == [(2,)]
    run(empty_url, "DELETE FROM public.skill_job1 WHERE job_id = 2")
    assert run(empty_url, query) == []
    assert generate_embeddings([]) == 0
    assert run(empty_url, query) == [(1,)]
    assert findings(capsys) == {}


def test_f99_every_function_of_ours_sets_its_path_or_is_bound_when_it_is_made(
    database_url: str,
) -> None:
    """But the triggers' own, held by the test above: SET costs an update a fifth."""
    loose = run(
        database_url,
        "SELECT proname FROM pg_proc WHERE pronamespace = 'recommender'::regnamespace"
        " AND proconfig IS NULL AND prosqlbody IS NULL ORDER BY 1",
    )
    assert {name for (name,) in loose} == {
        "job_written",
        "user_written",
        "is_job_key",
        "is_user_key",
    }


def test_f99_a_role_without_a_path_reads_the_catalogue(database_url: str) -> None:
    database = run(database_url, "SELECT current_database()")[0][0]
    run(database_url, f"ALTER DATABASE {database} SET search_path = ''")
    with (
        closing(Database(database_url, pool_size=1)) as pool,
        pool.snapshot(Deadline.after(30)) as transaction,
    ):
        assert Catalogue.read(transaction).jobs.quoted_name == '"public"."skill_job1"'
