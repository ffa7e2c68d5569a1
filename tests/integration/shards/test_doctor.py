"""The doctor's findings about shards, and the commands that fix them."""

from pathlib import Path

import pytest

from app.commands.embed import main as generate_embeddings
from app.commands.migrate import migrate
from tests.integration.shards.answers import insert_rows
from tests.support.doctor import findings, look
from tests.support.postgres import run
from tests.support.shards import Databases

SHARDS = "python scripts/shards.py FILE"


@pytest.fixture
def laid_out(databases: Databases, tmp_path: Path) -> Databases:
    insert_rows(databases.url, jobs=20)
    generate_embeddings([])
    assert databases.lay_out(tmp_path) == 0
    return databases


def test_shards_without_faults_are_well(
    laid_out: Databases, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out = look(capsys)
    assert (status, out.splitlines()[-1]) == (0, "All is well."), out


def test_lost_triggers_and_indexes_of_a_shard_are_named(
    laid_out: Databases, capsys: pytest.CaptureFixture[str]
) -> None:
    run(
        laid_out.shards["one"],
        "ALTER TABLE recommender_shards.jobs_0 DISABLE TRIGGER recommender_direct;"
        "DROP INDEX recommender_shards.jobs_0_job_id_idx",
    )
    found = findings(capsys)
    assert "Who writes to jobs_0 on the shard one goes unnoticed" in str(found)
    (mend,) = (v for k, v in found.items() if "has no index on job_id" in k)
    run(laid_out.shards["one"], mend)
    assert len(findings(capsys)) == 1


def test_a_column_that_the_shards_lack_is_named_and_added(
    laid_out: Databases, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(laid_out.url, "ALTER TABLE skill_job1 ADD title text")
    found = findings(capsys)
    assert (
        found["jobs_0 on the shard one lacks the columns title of the jobs."] == SHARDS
    )
    assert laid_out.lay_out(tmp_path) == 0
    assert findings(capsys) == {}
    run(laid_out.url, "UPDATE skill_job1 SET title = 'clerk'")
    query = "SELECT DISTINCT title FROM skill_job1"
    assert run(laid_out.url, query) == [("clerk",)]


def test_a_shard_that_has_lost_its_tables_is_named(
    laid_out: Databases, capsys: pytest.CaptureFixture[str]
) -> None:
    run(laid_out.shards["two"], "DROP SCHEMA recommender_shards CASCADE")
    problem = "The shard two has lost its tables: requests that need its jobs fail."
    restore = "Restore the shard's database from its backup."
    assert findings(capsys)[problem] == restore


def test_ids_that_a_replica_cannot_follow_on_shards_are_named(
    databases: Databases,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEARCH_BACKEND", "replica")
    run(
        databases.url,
        "ALTER TABLE skill_job1 ALTER job_id DROP IDENTITY IF EXISTS;"
        "ALTER TABLE skill_job1 ALTER job_id TYPE text",
    )
    list(migrate(databases.url))
    run(databases.url, "INSERT INTO skill_job1 (job_id, skills) VALUES ('a', 'sql')")
    problem = (
        "The replica does not follow the jobs, and the stream answers, because its ids"
        " are text, which servers may order differently."
    )
    assert problem not in findings(capsys)
    assert databases.lay_out(tmp_path) == 0
    assert problem in findings(capsys)


def test_a_shard_that_is_away_is_named(
    laid_out: Databases, capsys: pytest.CaptureFixture[str]
) -> None:
    run(
        laid_out.url,
        "ALTER SERVER recommender_two OPTIONS (SET port '1')",
    )
    found = findings(capsys)
    assert list(found) == [
        "The shard two does not answer: requests get 503 until it does."
    ]
