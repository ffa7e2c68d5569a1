"""Some random rows, embedded and split again; and tables too large to be counted."""

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from app.commands.embed import main as generate_embeddings
from app.commands.migrate import main as migrate
from app.storage import samples
from tests.support.doctor import EMBED, REPAIR, examined, findings, look
from tests.support.embedding import embed
from tests.support.postgres import Server, fresh_database, run
from tests.support.rows import add_job, add_pending_jobs, add_user

TEXTS = ["python", "sql, go", "welding, MIG", "cooking", "Excel; Word", "C++"]


@pytest.fixture(scope="module")
def filled(postgres: Server) -> Iterator[str]:
    """What each test gets a copy of: six jobs and six users, embedded by the model."""
    with fresh_database(postgres) as url:
        add_pending_jobs(url, TEXTS)
        for number, text in enumerate(TEXTS):
            add_user(url, number, text)
        embed(url)
        yield url


@pytest.fixture(autouse=True)
def url(
    postgres: Server, filled: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    with examined(postgres, filled, monkeypatch) as copy:
        yield copy


def mend(url: str, statement: str) -> None:
    """As the doctor says, and then what it says next."""
    run(url, statement)
    assert generate_embeddings([]) == 0


EMBEDDINGS = "of {} random {} have an embedding that is not of their text"
OTHERWISE = {
    # Those of other texts, of the same length and version.
    "jobs": "WITH other AS (SELECT array_agg(embedding ORDER BY job_id DESC) AS list"
    " FROM skill_job1) UPDATE skill_job1 SET embedding = list[job_id] FROM other",
    "users": "WITH other AS (SELECT array_agg(embedding ORDER BY user_id DESC) AS list"
    " FROM recommender.user_state) UPDATE recommender.user_state"
    " SET embedding = list[user_id + 1] FROM other",
}


@pytest.mark.parametrize("rows", OTHERWISE)
def test_embeddings_of_other_texts_are_found_and_made_again(
    capsys: pytest.CaptureFixture[str], url: str, rows: str
) -> None:
    assert findings(capsys) == {}
    run(url, OTHERWISE[rows])
    ((problem, statement),) = findings(capsys).items()
    assert problem.startswith("6 " + EMBEDDINGS.format(6, rows))
    mend(url, statement)
    assert findings(capsys) == {}


@pytest.mark.parametrize(
    "embedding",
    [
        "decode(repeat('00', 1536), 'hex')",
        "decode(repeat('ff', 1536), 'hex')",  # not a number
        "decode(repeat('0000807f', 384), 'hex')",  # infinity
    ],
)
def test_embeddings_that_point_nowhere_are_found(
    capsys: pytest.CaptureFixture[str], url: str, embedding: str
) -> None:
    run(url, f"UPDATE skill_job1 SET embedding = {embedding} WHERE job_id = 3")
    ((problem, statement),) = findings(capsys).items()
    assert problem == "1 " + EMBEDDINGS.format(6, "jobs") + ": job_id 3."
    mend(url, statement)
    assert findings(capsys) == {}


def test_a_text_that_changed_while_its_trigger_was_off_is_found(
    capsys: pytest.CaptureFixture[str], url: str
) -> None:
    run(
        url,
        "ALTER TABLE skill_job1 DISABLE TRIGGER ALL;"
        "UPDATE skill_job1 SET skills = 'nursing' WHERE job_id = 2;"
        "ALTER TABLE skill_job1 ENABLE ALWAYS TRIGGER recommender_written;"
        "ALTER TABLE skill_job1 ENABLE ALWAYS TRIGGER recommender_truncated",
    )
    found = findings(capsys)
    assert [problem.partition(":")[2] for problem in found] == [" job_id 2."] * 2
    (statement,) = set(found.values())
    mend(url, statement)
    assert findings(capsys) == {}


def test_a_title_that_changed_while_its_trigger_was_off_is_found(
    capsys: pytest.CaptureFixture[str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TITLE_COLUMN", "title")
    run(url, "ALTER TABLE skill_job1 ADD title text DEFAULT 'cook'")
    assert migrate([]) == 0
    assert generate_embeddings([]) == 0
    assert findings(capsys) == {}
    run(
        url,
        "ALTER TABLE skill_job1 DISABLE TRIGGER recommender_titled;"
        "UPDATE skill_job1 SET title = 'nurse' WHERE job_id = 2;"
        "ALTER TABLE skill_job1 ENABLE ALWAYS TRIGGER recommender_titled",
    )
    ((problem, statement),) = findings(capsys).items()
    assert problem == (
        "1 of 6 random jobs have skills that are not of their text: job_id 2."
    )
    mend(url, statement)
    assert findings(capsys) == {}


@pytest.mark.parametrize("rows", ["jobs", "users"])
@pytest.mark.parametrize("ids", ["int4send(0)", "skill_ids || skill_ids", "''"])
def test_skill_ids_of_another_vocabulary_are_found(
    capsys: pytest.CaptureFixture[str], url: str, rows: str, ids: str
) -> None:
    key = rows.removesuffix("s")
    run(
        url,
        f"UPDATE recommender.{key}_state SET skill_ids = {ids} WHERE {key}_id = 4",
    )
    ((problem, statement),) = findings(capsys).items()
    assert problem == (
        f"1 of 6 random {rows} have skills that are not of their text: {key}_id 4."
    )
    mend(url, statement)
    assert findings(capsys) == {}


def test_skills_as_an_earlier_version_split_them_need_only_a_backfill(
    capsys: pytest.CaptureFixture[str], url: str
) -> None:
    run(
        url,
        "UPDATE recommender.job_state SET skill_ids = int4send(1) WHERE job_id = 2;"
        " UPDATE recommender.skill_vocabulary SET split_version = 1",
    )
    problem = "1 of 6 random jobs have skills that are not of their text: job_id 2."
    assert findings(capsys) == {problem: EMBED}
    assert generate_embeddings([]) == 0
    assert findings(capsys) == {}


def test_rows_that_nobody_recorded_and_records_without_a_row_are_found(
    capsys: pytest.CaptureFixture[str], url: str
) -> None:
    run(
        url,
        "SET session_replication_role = replica; ALTER TABLE users DISABLE TRIGGER ALL;"
        "INSERT INTO users VALUES (70, 'sql'), (71, ' '), (72, NULL);"
        "DELETE FROM users WHERE user_id = 2;"
        "ALTER TABLE users ENABLE ALWAYS TRIGGER recommender_written;"
        "ALTER TABLE users ENABLE ALWAYS TRIGGER recommender_truncated",
    )
    assert findings(capsys) == {
        "Some users have no state: user_id 70.": REPAIR,
        "Some users have a state and no row: user_id 2.": REPAIR,
    }
    assert migrate(["--again"]) == 0
    assert findings(capsys) == {"1 user has no embedding.": f"{EMBED} --what=users"}


@pytest.mark.parametrize(
    ("table", "key"), [("users", "user_id"), ("skill_job1", "job_id")]
)
def test_f83_the_doctor_names_ids_of_more_than_one_row(
    capsys: pytest.CaptureFixture[str], url: str, table: str, key: str
) -> None:
    run(
        url,
        f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey;"
        f"CREATE INDEX ON {table} ({key});"
        f"INSERT INTO {table} ({key}, skills) VALUES (3, 'x'), (4, 'y'), (4, 'z')",
    )
    found = findings(capsys)
    assert not [one for one in found if "random" in one]
    problem = (
        f"More than one row of {table} has the {key} 3, 4: these are left out of all"
        " answers."
    )
    assert found[problem].endswith(f"CREATE UNIQUE INDEX CONCURRENTLY ON {table}"
                                   f" ({key});")  # fmt: skip


# --- large tables -------------------------------------------------------------------


def test_rows_of_a_large_table_are_estimated_and_what_waits_is_counted(
    capsys: pytest.CaptureFixture[str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A table of a hundred pages is a large one, of which ten are read.
    monkeypatch.setattr(samples, "COUNTED_PAGES", 100)
    monkeypatch.setattr(samples, "SAMPLED_PAGES", 10)
    run(
        url,
        "INSERT INTO skill_job1 (job_id, skills, embedding, embedding_version)"
        " SELECT n, 'python', (SELECT embedding FROM skill_job1 WHERE job_id = 1),"
        " 'all-MiniLM-L6-v2' FROM generate_series(100, 20099) AS n;"
        "UPDATE recommender.job_state SET skill_ids = (SELECT skill_ids"
        " FROM recommender.job_state WHERE job_id = 1) WHERE job_id >= 100;"
        "INSERT INTO skill_job1 (job_id, skills) VALUES (20, 'x'), (21, 'y')",
    )
    run(url, "VACUUM FULL recommender.job_state")
    status, out = look(capsys)
    assert status == 1
    (line,) = [line for line in out.splitlines() if line.startswith("jobs: about")]
    assert ", 2 pending, " in line
    assert 10_000 < int(line.split(" ")[2]) < 40_000
    assert "2 jobs have no embedding." in out
    # Whatever the sample holds, it was embedded again and is sound.
    assert "random" not in out


def test_a_table_that_is_locked_is_said_and_the_rest_is_looked_at(
    capsys: pytest.CaptureFixture[str], url: str
) -> None:
    add_job(url, 30, "c", embedding=b"short")
    with closing(psycopg2.connect(url)) as other:
        other.cursor().execute("LOCK TABLE users")
        status, out = look(capsys, "--timeout=0.3")
    assert status == 1
    assert "1 job has an embedding of a wrong length." in out
    assert (
        "A look at the records of users took more than 0.3 s: the database is busy, or"
        " a table is locked.\n    python scripts/doctor.py --timeout=0.9"
    ) in out


def test_it_writes_nothing(capsys: pytest.CaptureFixture[str], url: str) -> None:
    written = "SELECT pg_current_xact_id_if_assigned(), sum(n_tup_ins + n_tup_upd)"
    written += " FROM pg_stat_all_tables WHERE schemaname IN ('public', 'recommender')"
    database = run(url, "SELECT current_database()")[0][0]
    before = run(url, written)
    run(url, f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    assert findings(capsys) == {}
    assert run(url, written) == before
