"""The doctor's findings on broken deployments, and the commands that fix them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from psycopg2.sql import SQL, Identifier

from app.commands.build_vector_index import main as build_vector_index
from app.commands.embed import main as generate_embeddings
from app.commands.migrate import main as migrate
from app.ops.doctor import examination
from tests.support.doctor import EMBED, MODEL_DIR, REPAIR, findings, look
from tests.support.postgres import Server, fresh_database, run
from tests.support.rows import add_job, add_pending_jobs, add_user, admit
from tests.support.service import ROOT


@pytest.fixture(autouse=True)
def _environment(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MODEL_DIR", MODEL_DIR)
    run(database_url, "SELECT recommender.adopt()")  # a copy of a template


def test_a_deployment_without_faults_is_well(
    capsys: pytest.CaptureFixture[str], database_url: str
) -> None:
    add_pending_jobs(database_url, ["python", "sql, go", None])
    add_user(database_url, 1, "python")
    generate_embeddings([])
    status, out = look(capsys, "--requests-per-day=100")
    assert (status, out.splitlines()[-1]) == (0, "All is well.")
    assert out.startswith("jobs: 2 embedded, 0 pending, 0 stale, 0 malformed,")
    assert "size: skill_job1 0.0 MB, of which rows" in out
    assert "for 100 requests a day" in out
    assert out.endswith("All is well.\n")


def test_rows_that_wait_are_counted_by_their_reason(
    capsys: pytest.CaptureFixture[str], database_url: str
) -> None:
    add_pending_jobs(database_url, ["a", "quarantined"])
    add_job(database_url, 3, "b", version="another-model")
    add_job(database_url, 4, "c", embedding=b"short")
    add_user(database_url, 1, "python")
    admit(database_url)
    run(
        database_url,
        "UPDATE recommender.job_state SET state = 'quarantined' WHERE job_id = 2;"
        " INSERT INTO recommender.failure VALUES ('jobs', '2', 'why')",
    )
    assert findings(capsys) == {
        "1 job has no embedding.": f"{EMBED} --what=jobs",
        "1 job has an embedding of another model.": f"{EMBED} --what=jobs",
        "1 job has an embedding of a wrong length.": f"{EMBED} --what=jobs",
        f"1 job could not be embedded; `{EMBED} --failures` says why.": (
            f"{EMBED} --retry-failures --what=jobs"
        ),
        "1 user has no embedding.": f"{EMBED} --what=users",
    }


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE {} DISABLE TRIGGER recommender_written",
        "DROP TRIGGER recommender_written ON {}",
    ],
)
@pytest.mark.parametrize("table", ["skill_job1", "users"])
def test_a_disabled_trigger_is_found_and_its_command_fixes_it(
    capsys: pytest.CaptureFixture[str], database_url: str, table: str, statement: str
) -> None:
    run(database_url, SQL(statement).format(Identifier(table)))
    ((problem, mend),) = findings(capsys).items()
    assert problem.startswith(
        f"Edits of {table} keep embeddings or skills of old texts"
    )
    assert mend == "python scripts/migrate.py"
    assert migrate([]) == 0
    capsys.readouterr()
    assert findings(capsys) == {}


def test_a_database_without_tables_is_told_to_migrate(
    capsys: pytest.CaptureFixture[str],
    postgres: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with fresh_database(postgres, template="template1") as url:
        monkeypatch.setenv("DATABASE_URL", url)
        assert list(findings(capsys).values()) == ["python scripts/migrate.py"]


def test_an_older_database_is_told_to_migrate(
    capsys: pytest.CaptureFixture[str], database_url: str
) -> None:
    run(
        database_url,
        "DROP TABLE recommender.claim;"
        " DROP INDEX recommender.user_state_unfinished_idx",
    )
    found = findings(capsys)
    problem = "The database has no recommender.claim, or it is broken."
    assert found == {problem: REPAIR}
    assert migrate(["--again"]) == 0
    assert findings(capsys) == {}


def test_a_column_that_cannot_be_offered_is_found(
    capsys: pytest.CaptureFixture[str],
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(database_url, "ALTER TABLE skill_job1 ADD location text, ADD area box")
    monkeypatch.setenv("JOB_COLUMNS", "town, location, area")
    found = findings(capsys)
    assert [problem.split(",")[0] for problem in found] == [
        "JOB_COLUMNS names the column town",
        "JOB_COLUMNS names the column area",
    ]
    assert set(found.values()) == {"JOB_COLUMNS=location"}
    monkeypatch.setenv("JOB_COLUMNS", "location")
    assert findings(capsys) == {}


def test_absent_model_files_are_found(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    assert list(findings(capsys).values()) == ["python scripts/fetch_model.py"]


def test_tables_that_the_outside_can_read_are_found_and_the_command_closes_them(
    capsys: pytest.CaptureFixture[str], database_url: str
) -> None:
    run(database_url, "GRANT SELECT (skills) ON users TO PUBLIC")
    assert findings(capsys) == {
        "The role public can read the table users, and no row-level security"
        " restrains it.": "REVOKE ALL ON users FROM public;"
    }
    run(database_url, "REVOKE ALL ON users FROM public")
    assert findings(capsys) == {}


def test_row_level_security_closes_a_table_too(
    capsys: pytest.CaptureFixture[str], database_url: str
) -> None:
    run(
        database_url,
        "GRANT SELECT ON users TO PUBLIC; ALTER TABLE users ENABLE ROW LEVEL SECURITY",
    )
    assert findings(capsys) == {}


def test_a_pool_beyond_the_servers_limit_is_found(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_POOL_SIZE", "5000")
    ((problem, mend),) = findings(capsys).items()
    assert problem.startswith("2 instances, as during a deploy, need 10000 connections")
    size = int(mend.removeprefix("DB_POOL_SIZE="))
    monkeypatch.setenv("DB_POOL_SIZE", str(size))
    assert findings(capsys) == {}


def test_an_unavailable_database_cannot_be_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = "postgresql://me:secret@127.0.0.1:1/none"
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/doctor.py")],
        env=os.environ | {"DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == (
        "doctor: The database cannot be reached; try again in a moment.\n"
    )


# --- when to switch ------------------------------------------------------------


def test_few_jobs_and_little_traffic_need_no_other_backend(
    capsys: pytest.CaptureFixture[str], database_url: str
) -> None:
    add_job(database_url, 1, "python")
    assert "advice:" not in look(capsys)[1]


def test_traffic_that_costs_more_than_another_backend_is_a_reason_to_switch(
    capsys: pytest.CaptureFixture[str],
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(30):
        add_job(database_url, number, "python")
    # 30 jobs are 47 KB: at a million requests a day 1.5 TB a month.
    options = ("--requests-per-day=1000000", "--egress-price=0.1")
    advice = advice_of(look(capsys, *options)[1])
    assert advice.startswith("advice: 30 jobs, and 1")
    assert "SEARCH_BACKEND=replica a recommendation moves 4 KB" in advice
    monkeypatch.setattr(examination, "free_disk_bytes", lambda _: 119_999)
    advice = advice_of(look(capsys, *options)[1])
    assert "SEARCH_BACKEND=pgvector a recommendation moves 23 KB" in advice
    for backend in ("replica", "pgvector"):
        monkeypatch.setenv("SEARCH_BACKEND", backend)
        assert "advice:" not in look(capsys, *options)[1]


def advice_of(out: str) -> str:
    (advice,) = [line for line in out.splitlines() if line.startswith("advice:")]
    return advice


def test_missing_parts_of_pgvector_are_found_step_by_step(
    capsys: pytest.CaptureFixture[str],
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEARCH_BACKEND", "pgvector")
    add_pending_jobs(database_url, ["python"])
    assert generate_embeddings([]) == 0
    for expected, mend in (
        ("python scripts/migrate.py --with pgvector", migrate_with_pgvector),
        ("python scripts/generate_embeddings.py --what=jobs", generate_embeddings),
        ("python scripts/build_vector_index.py", build_vector_index),
    ):
        assert expected in findings(capsys).values()
        assert mend([]) == 0
        capsys.readouterr()
    assert findings(capsys) == {}


def migrate_with_pgvector(_: list[str]) -> int:
    return migrate(["--with", "pgvector"])
