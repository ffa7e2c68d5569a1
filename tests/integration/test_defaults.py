"""Whatever a database has set as its defaults, migrations and commands work."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.commands.build_vector_index import main as build_vector_index
from app.commands.embed import main as generate_embeddings
from app.commands.import_csv.command import main as import_csv
from app.commands.migrate import main as migrate
from tests.support.doctor import MODEL_DIR, findings
from tests.support.postgres import Server, fresh_database, run

DEFAULTS = [
    "default_transaction_isolation = 'serializable'",
    "default_transaction_read_only = on",
    "default_transaction_deferrable = on",
    "row_security = off",
    "search_path = ''",
    "client_encoding = 'LATIN1'",
    "standard_conforming_strings = off",
    "quote_all_identifiers = on",
    "backslash_quote = off",
    "bytea_output = 'escape'",
    "\"DateStyle\" = 'SQL, DMY'",
    "\"TimeZone\" = 'Asia/Kathmandu'",
    "statement_timeout = '300ms'",
    "lock_timeout = '50ms'",
    "idle_in_transaction_session_timeout = '300ms'",
    "plan_cache_mode = force_generic_plan",
    "enable_seqscan = off",
    "session_replication_role = replica",
    "client_min_messages = error",
    "recommender.jobs_table = 'nowhere'",
]


@pytest.fixture
def url(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The team's tables with two rows, and nothing of ours yet."""
    with fresh_database(postgres, template="template1") as fresh:
        run(
            fresh,
            # Its index is built by migrate.py.
            "CREATE TABLE skill_job1 (job_id bigint, skills text);"
            "CREATE TABLE users (user_id bigint PRIMARY KEY, skills text);"
            "INSERT INTO skill_job1 VALUES (1, 'python, sql'), (2, 'rust');"
            "INSERT INTO users VALUES (1, 'sql')",
        )
        monkeypatch.setenv("DATABASE_URL", fresh)
        monkeypatch.setenv("MODEL_DIR", MODEL_DIR)
        monkeypatch.setenv("JOBS_TABLE", "public.skill_job1")
        monkeypatch.setenv("USERS_TABLE", "public.users")
        yield fresh


@pytest.mark.parametrize("default", DEFAULTS)
def test_f100_every_command_works_with_any_default_of_the_database(
    capsys: pytest.CaptureFixture[str], url: str, tmp_path: Path, default: str
) -> None:
    name = run(url, "SELECT current_database()")[0][0]
    run(url, f"ALTER DATABASE {name} SET {default}")
    file = tmp_path / "jobs.csv"
    file.write_text('job_id,skills\n2,"go"\n100,"naïve, \\d+"\n', encoding="utf-8")
    assert migrate(["--with", "pgvector"]) == 0
    assert generate_embeddings([]) == 0
    assert import_csv(["jobs", str(file)]) == 0
    assert generate_embeddings([]) == 0
    assert build_vector_index([]) == 0
    assert findings(capsys) == {}
    assert migrate(["--again"]) == 0
    assert generate_embeddings([]) == 0
    assert findings(capsys) == {}
    run(url, f"BEGIN READ WRITE; ALTER DATABASE {name} RESET ALL; COMMIT")
    assert run(url, "SELECT job_id, skills FROM skill_job1 ORDER BY 1") == [
        (1, "python, sql"),
        (2, "go"),
        (100, "naïve, \\d+"),
    ]
