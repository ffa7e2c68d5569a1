"""Who may do what: strangers, and the role that the doctor looks as."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.commands.migrate import main as migrate
from tests.support.doctor import examined, findings, look, statements
from tests.support.embedding import embed
from tests.support.postgres import Server, fresh_database, run
from tests.support.rows import add_pending_jobs, add_user


@pytest.fixture(scope="module")
def filled(postgres: Server) -> Iterator[str]:
    """What each test gets a copy of: two jobs and a user, with embeddings."""
    with fresh_database(postgres) as url:
        add_pending_jobs(url, ["python", "sql"])
        add_user(url, 1, "sql")
        embed(url)
        yield url


@pytest.fixture
def url(
    postgres: Server, filled: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A filled database; the roles of Supabase's REST API, members of a third one."""
    with examined(postgres, filled, monkeypatch) as copy:
        roles = ("anon", "authenticated", '"Web guests"')
        for role in roles:
            run(copy, f"CREATE ROLE {role} NOLOGIN")
        run(copy, 'GRANT "Web guests" TO anon')
        yield copy
        for role in roles:
            run(copy, f"DROP OWNED BY {role}; DROP ROLE {role}")


RLS = "ALTER TABLE users ENABLE ROW LEVEL SECURITY; GRANT SELECT ON users TO anon; "
OPEN = {
    "everybody": "GRANT SELECT ON users TO PUBLIC",
    "a role": "GRANT ALL ON users TO anon",
    "one column": "GRANT SELECT (user_id) ON users TO authenticated",
    "a group": 'GRANT SELECT ON users TO "Web guests"',
    "a policy for everybody": RLS
    + 'CREATE POLICY "read all" ON users FOR SELECT USING (true)',
    "a policy for all commands": RLS
    + "CREATE POLICY p ON users TO anon USING (true) WITH CHECK (false)",
    "a view": "CREATE VIEW people AS SELECT * FROM users; GRANT SELECT ON people"
    " TO anon",
    "a view of a view": "CREATE VIEW a AS SELECT user_id AS x FROM users; CREATE VIEW b"
    " AS SELECT x FROM a; GRANT SELECT ON b TO PUBLIC",
    "a materialized view": "CREATE MATERIALIZED VIEW m AS SELECT skills FROM users;"
    " GRANT SELECT ON m TO anon",
    "our state of users": "GRANT USAGE ON SCHEMA recommender TO anon;"
    " GRANT SELECT ON recommender.user_state TO anon",
    "embeddings of jobs": "GRANT SELECT ON skill_job1 TO PUBLIC",
    "who may write embeddings": "GRANT UPDATE (embedding) ON skill_job1 TO PUBLIC",
    "a view of embeddings": "CREATE VIEW v AS SELECT embedding FROM skill_job1;"
    " GRANT SELECT ON v TO anon",
}
CLOSED = {
    "row-level security": RLS,
    "a policy that looks": RLS
    + "CREATE POLICY own ON users FOR SELECT USING (user_id = 7)",
    "a policy for writers": RLS
    + "CREATE POLICY own ON users FOR INSERT WITH CHECK (true)",
    "a restrictive policy": RLS
    + "CREATE POLICY p ON users AS RESTRICTIVE FOR SELECT USING (true)",
    "another role": "GRANT ALL ON users TO pg_monitor",
    "a schema that nobody enters": "GRANT SELECT ON recommender.user_state TO PUBLIC",
    "a view with the reader's rights": "CREATE VIEW people WITH"
    " (security_invoker = true) AS SELECT * FROM users; GRANT SELECT ON people TO anon",
    "jobs that are public": "GRANT SELECT (job_id, skills) ON skill_job1 TO PUBLIC",
    "a view of public columns": "CREATE VIEW v AS SELECT job_id, skills FROM"
    " skill_job1; GRANT SELECT ON v TO anon",
}


@pytest.mark.parametrize("case", OPEN)
def test_f77_what_strangers_can_read_is_named_and_the_statement_closes_it(
    capsys: pytest.CaptureFixture[str], url: str, case: str
) -> None:
    run(url, OPEN[case])
    found = findings(capsys)
    assert found
    assert all(problem.startswith("The role ") for problem in found)
    assert list(statements(found)) == list(found.values())
    for statement in statements(found):
        run(url, statement)
    assert findings(capsys) == {}
    run(url, "DROP OWNED BY anon; DROP VIEW IF EXISTS people, a, b, v CASCADE")


@pytest.mark.parametrize("case", CLOSED)
def test_f77_what_strangers_cannot_read_is_no_finding(
    capsys: pytest.CaptureFixture[str], url: str, case: str
) -> None:
    run(url, CLOSED[case])
    assert findings(capsys) == {}


def test_f77_a_partition_has_rights_of_its_own(
    capsys: pytest.CaptureFixture[str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(
        url,
        "CREATE TABLE people (user_id int PRIMARY KEY, skills text)"
        " PARTITION BY RANGE (user_id);"
        "CREATE TABLE some_people PARTITION OF people DEFAULT;"
        "ALTER TABLE people ENABLE ROW LEVEL SECURITY;"
        "GRANT SELECT ON people, some_people TO anon",
    )
    monkeypatch.setenv("USERS_TABLE", "people")
    assert migrate([]) == 0
    assert findings(capsys) == {
        "The role anon can read the table some_people, and no row-level security"
        " restrains it.": "REVOKE ALL ON some_people FROM anon;"
    }


def test_f97_after_supabases_api_was_closed_nothing_is_open(
    capsys: pytest.CaptureFixture[str], url: str
) -> None:
    run(url, "GRANT ALL ON ALL TABLES IN SCHEMA public TO anon, authenticated")
    command = "python scripts/migrate.py --with supabase-close"
    assert command in findings(capsys).values()
    assert migrate(["--with", "supabase-close"]) == 0
    assert findings(capsys) == {}
    query = "SELECT has_column_privilege('anon', 'skill_job1', 'skills', 'SELECT')"
    assert run(url, query) == [(True,)]


# --- the role that looks ------------------------------------------------------------


@contextmanager
def login(url: str, monkeypatch: pytest.MonkeyPatch, options: str) -> Iterator[None]:
    run(url, f'CREATE ROLE "The service" LOGIN {options}')
    theirs = url.replace("postgres:@", "The%20service:@")
    monkeypatch.setenv("DATABASE_URL", theirs)
    try:
        yield
    finally:
        run(url, 'DROP OWNED BY "The service"; DROP ROLE "The service"')


@pytest.mark.parametrize(
    ("group", "embeds"),
    [("job_recommender", ""), ("job_recommender_worker", "true")],
)
def test_f97_the_services_own_role_can_look_at_everything(
    capsys: pytest.CaptureFixture[str],
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    group: str,
    embeds: str,
) -> None:
    monkeypatch.setenv("EMBED_IN_SERVICE", embeds)
    with login(url, monkeypatch, f"IN ROLE {group}"):
        status, out = look(capsys)
        assert (status, out.splitlines()[-1]) == (0, "All is well.")
        assert out.startswith("jobs: 2 embedded")


def test_f97_a_role_without_rights_is_told_which_to_ask_for(
    capsys: pytest.CaptureFixture[str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with login(url, monkeypatch, ""):
        ((problem, mend),) = findings(capsys).items()
        assert problem == (
            'The role "The service" may not look into the schema recommender.'
        )
        run(url, mend)
        assert findings(capsys) == {}
        monkeypatch.setenv("EMBED_IN_SERVICE", "true")
        ((problem, mend),) = findings(capsys).items()
        assert "UPDATE (embedding) ON skill_job1" in problem
        assert mend == 'GRANT job_recommender_worker TO "The service";'
        run(url, mend)
        assert findings(capsys) == {}


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        ("SELECT (skills) ON users", "SELECT (skills) ON users"),
        ("SELECT ON recommender.skill", "SELECT ON recommender.skill"),
        ("INSERT ON recommender.feedback", "INSERT ON recommender.feedback"),
        ("DELETE ON recommender.exposure", "DELETE ON recommender.exposure"),
        (
            "EXECUTE ON FUNCTION recommender.place()",
            "EXECUTE ON FUNCTION recommender.place()",
        ),
    ],
)
def test_f97_a_right_that_the_group_lost_is_named_and_comes_back(
    capsys: pytest.CaptureFixture[str],
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    lost: str,
    named: str,
) -> None:
    with login(url, monkeypatch, "IN ROLE job_recommender"):
        run(url, f"REVOKE {lost} FROM job_recommender")
        ((problem, mend),) = findings(capsys).items()
        assert problem == f'The role "The service" lacks rights: {named}.'
        assert mend == "python scripts/migrate.py"
        monkeypatch.setenv("DATABASE_URL", url)
        assert migrate([]) == 0
        monkeypatch.setenv("DATABASE_URL", url.replace("postgres:@", "The%20service:@"))
        assert findings(capsys) == {}


@pytest.mark.parametrize("table", ["users", "skill_job1"])
def test_f45_row_level_security_that_would_hide_rows_is_named(
    capsys: pytest.CaptureFixture[str],
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    table: str,
) -> None:
    with login(url, monkeypatch, "IN ROLE job_recommender"):
        run(url, f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        ((problem, mend),) = findings(capsys).items()
        assert problem == (
            f"Row-level security of {table} would hide rows from the role"
            ' "The service".'
        )
        run(url, mend)
        assert findings(capsys) == {}
