"""recommend_all: the results equal those of the API, even after a kill."""

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.commands.migrate import migrate
from app.commands.recommend_all import main as recommend_all
from app.deadline import Deadline
from app.errors import AppError
from app.query.feedback import FeedbackChange
from app.ranking.popular import POPULAR
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.feedback import FeedbackStore
from app.storage.recommendations import RecommendationTable, StoredRecommendation
from tests.support.bulk import fill_jobs
from tests.support.encoders import HashEncoder
from tests.support.postgres import Server, fresh_database, run
from tests.support.rows import add_user, add_users, embed_users
from tests.support.service import ROOT, running_service
from tests.support.skills import fill
from tests.support.waiting import wait_until

JOBS = 200
USERS = 60
Rows = dict[Any, list[tuple[Any, ...]]]


@pytest.fixture
def url(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Users with stored embeddings, one with a text alone, two without skills."""
    fill_jobs(database_url, JOBS)
    users = range(1, USERS + 1)
    add_users(database_url, {user: f"skill {user}" for user in users})
    embed_users(database_url, {user: f"user {user}" for user in users})
    add_user(database_url, 1000, "python, sql")
    add_user(database_url, 1001, " ")
    add_user(database_url, 30_000, None)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MODEL_DIR", str(ROOT / "models" / "all-MiniLM-L6-v2"))
    monkeypatch.setenv("SKILL_CACHE_DIR", str(tmp_path / "skills"))
    return database_url


def of_the_api(url: str, tmp_path: Path, **body: object) -> Rows:
    """The results of the service, one request per user."""
    rows: Rows = {}
    with running_service(
        url, tmp_path / "log", SKILL_CACHE_DIR=str(tmp_path / "api")
    ) as service:
        for (user,) in run(url, "SELECT user_id FROM users ORDER BY user_id"):
            answer = service.recommend(user_id=user, **body).json()
            if answer["detail"] == POPULAR:
                continue  # nothing is known of the user
            jobs = answer["recommendations"]
            rows[user] = [
                (
                    rank,
                    job["job_id"],
                    job["similarity_score"],
                    job.get("match_score"),
                )
                for rank, job in enumerate(jobs, start=1)
            ]
    return {user: some for user, some in rows.items() if some}


def in_table(url: str, name: str = "recommender.recommendation") -> Rows:
    rows: Rows = {}
    for user, *rest in run(
        url,
        "SELECT user_id, rank, job_id, similarity_score, match_score"
        f" FROM {name} ORDER BY user_id, rank",
    ):
        rows.setdefault(user, []).append(tuple(rest))
    return rows


def in_file(path: Path) -> Rows:
    rows: Rows = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            rows.setdefault(int(row["user_id"]), []).append(
                (
                    int(row["rank"]),
                    int(row["job_id"]),
                    float(row["similarity_score"]),
                    float(row["match_score"]) if row["match_score"] else None,
                )
            )
    return rows


@pytest.mark.parametrize("block", ["1", "7", "256"])
def test_table_and_file_hold_the_apis_answers(
    url: str, tmp_path: Path, block: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "out.csv"
    common = ["--top-n", "5", "--block", block]
    assert recommend_all([*common, "--to-table"]) == 0
    assert recommend_all([*common, "--csv", str(file)]) == 0
    wanted = of_the_api(url, tmp_path, top_n=5)
    assert len(wanted) == USERS + 1
    assert in_table(url) == wanted
    assert in_file(file) == wanted
    assert not file.with_name("out.csv.progress").exists()
    assert f"{USERS + 3} users in " in capsys.readouterr().out


def test_filters_and_a_least_score_are_those_of_a_request(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(url, "ALTER TABLE skill_job1 ADD remote boolean")
    run(url, "UPDATE skill_job1 SET remote = job_id % 3 = 0")
    monkeypatch.setenv("JOB_COLUMNS", "remote")
    options = ["--filters", '{"remote": true}', "--min-score", "0.1", "--top-n", "4"]
    assert recommend_all([*options, "--to-table"]) == 0
    wanted = of_the_api(url, tmp_path, top_n=4, filters={"remote": True}, min_score=0.1)
    assert in_table(url) == wanted
    assert any(len(rows) < 4 for rows in wanted.values())


def test_a_ranking_by_skills_is_the_apis_as_well(url: str, tmp_path: Path) -> None:
    run(url, "DELETE FROM users WHERE user_id BETWEEN 4 AND 1000")
    run(url, "DELETE FROM skill_job1 WHERE job_id > 20")
    done = script("generate_embeddings.py")
    assert done.returncode == 0, done.stderr
    options = ["--rank-by", "skills", "--top-n", "3", "--block", "2"]
    assert recommend_all([*options, "--to-table"]) == 0
    wanted = of_the_api(url, tmp_path, top_n=3, rank_by="skills")
    assert in_table(url) == wanted
    assert all(row[3] is not None for rows in wanted.values() for row in rows)


def test_a_second_run_renews_the_table_and_forgets_who_is_gone(url: str) -> None:
    assert recommend_all(["--to-table", "--top-n", "9"]) == 0
    run(url, "DELETE FROM users WHERE user_id = 5")
    run(url, "DELETE FROM skill_job1 WHERE job_id = 1")
    run(url, "UPDATE users SET skills = NULL WHERE user_id = 6")
    assert recommend_all(["--to-table", "--top-n", "2"]) == 0
    rows = in_table(url)
    assert not {5, 6} & rows.keys()
    assert {len(some) for some in rows.values()} == {2}
    assert all(row[1] != 1 for some in rows.values() for row in some)


def test_what_users_dismissed_is_not_stored_again(
    url: str, database: Database, tmp_path: Path
) -> None:
    assert recommend_all(["--to-table", "--top-n", "5"]) == 0
    gone = {user: rows[user % 5][1] for user, rows in in_table(url).items()}
    changes = [
        FeedbackChange(user, job, "applied" if user % 2 else "dismissed")
        for user, job in gone.items()
    ]
    stored = FeedbackStore(database).record(changes, Deadline.after(60))
    assert stored == [None] * (USERS + 1)
    file = tmp_path / "out.csv"
    assert recommend_all(["--to-table", "--top-n", "5"]) == 0
    assert recommend_all(["--csv", str(file), "--top-n", "5"]) == 0
    for found in (in_table(url), in_file(file)):
        assert found.keys() == gone.keys()
        for user, rows in found.items():
            assert len(rows) == 5
            assert gone[user] not in [row[1] for row in rows]


def script(name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / name), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def killed(arguments: list[str], ripe: Callable[[], bool]) -> None:
    """Start the script and kill it when `ripe` holds."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / "recommend_all.py"), *arguments],
        stdout=subprocess.DEVNULL,
        env=os.environ,
    )

    def is_ripe() -> bool:
        assert process.poll() is None, "it was faster than the test"
        return ripe()

    wait_until(is_ripe, within_s=60)
    process.kill()
    process.wait(30)


def test_a_killed_run_into_a_table_goes_on_where_it_was(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--to-table", "--top-n", "3", "--block", "1"]

    def some_are_done() -> bool:
        there = run(url, "SELECT true")
        done = "SELECT max(users_done) FROM recommender.recommendation_run"
        return bool(there[0][0] and run(url, done)[0][0])

    killed(options, some_are_done)
    before = run(url, "SELECT run FROM recommender.recommendation_run")
    assert recommend_all(options) == 0
    assert "Continuing an unfinished run" in capsys.readouterr().out
    assert run(url, "SELECT run FROM recommender.recommendation_run") == before
    assert in_table(url) == of_the_api(url, tmp_path, top_n=3)


def test_a_killed_run_into_a_file_goes_on_where_it_was(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "out.csv"
    options = ["--csv", str(file), "--top-n", "3", "--block", "1"]
    killed(options, lambda: file.exists() and file.stat().st_size > 200)
    # As if it had been killed while it wrote.
    with file.open("a") as torn:
        torn.write("17,1,4")
    assert recommend_all([*options[:-1], "7"]) == 0
    assert "Continuing an unfinished run" in capsys.readouterr().out
    assert in_file(file) == of_the_api(url, tmp_path, top_n=3)


def test_an_existing_file_is_not_overwritten(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "out.csv"
    file.write_text("mine")
    assert recommend_all(["--csv", str(file)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert file.read_text() == "mine"
    assert recommend_all(["--csv", str(file), "--restart"]) == 0
    assert len(in_file(file)) == USERS + 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to-table", "--filters", "[]"], "--filters must be a JSON object"),
        (["--to-table", "--filters", '{"a": 1}'], "filters is not available"),
    ],
)
def test_errors_are_one_sentence(
    url: str, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recommend_all(arguments) == 2
    assert said in capsys.readouterr().err


def test_two_runs_at_once_do_not_undo_one_another(url: str, database: Database) -> None:
    with database.write(Deadline.after(30)) as transaction:
        table = RecommendationTable(Catalogue.read(transaction))
        mine = table.open_run(transaction, "question")
        other = table.open_run(transaction, "question")
    assert mine == other
    row = StoredRecommendation(1, 1, 7, 0.5, None)
    with database.write(Deadline.after(30)) as transaction:
        assert table.store(transaction, mine, [1, 2], [row]).after == 2
    with (
        pytest.raises(AppError, match="Another process is filling"),
        database.write(Deadline.after(30)) as transaction,
    ):
        table.store(transaction, other, [1, 2, 3], [])
    assert in_table(url) == {1: [(1, 7, 0.5, None)]}


def test_f98_two_runs_of_different_queries_lose_no_user(
    url: str, database: Database
) -> None:
    def rows(*users: int) -> list[StoredRecommendation]:
        return [StoredRecommendation(user, 1, 7, 0.5, None) for user in users]

    with database.write(Deadline.after(30)) as transaction:
        table = RecommendationTable(Catalogue.read(transaction))
        older = table.open_run(transaction, "one question")
        older = table.store(transaction, older, [1, 2], rows(1, 2))
        newer = table.open_run(transaction, "another question")
        newer = table.store(transaction, newer, [1, 2], rows(1, 2))
    with (
        pytest.raises(AppError, match="Another process is filling"),
        database.write(Deadline.after(30)) as transaction,
    ):
        table.store(transaction, older, [3, 4], rows(3, 4))
    with database.write(Deadline.after(30)) as transaction:
        # Also if the older one had been at its end.
        table.finish(transaction, older)
        table.finish(transaction, table.store(transaction, newer, [3, 4], rows(3, 4)))
    assert in_table(url).keys() == {1, 2, 3, 4}


IDS = {
    "int": "n",
    "smallint": "n",
    "bigint": "n * 10000000000",
    "uuid": "lpad(n::text, 32, '0')::uuid",
    "text": "chr(64 + n)",
    "varchar(9)": "'user ' || n",
    'text COLLATE "C"': "chr(64 + n)",
    "id_domain": "n",
}


@pytest.mark.parametrize("type_", IDS)
def test_f98_users_of_any_kind_of_id_are_recommended_to(
    postgres: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, type_: str
) -> None:
    with fresh_database(postgres, template="template1") as url:
        run(
            url,
            "CREATE DOMAIN id_domain AS int CHECK (value > 0);"
            f"CREATE TABLE skill_job1 (job_id {type_} PRIMARY KEY, skills text);"
            f"CREATE TABLE users (user_id {type_} PRIMARY KEY, skills text);"
            f"INSERT INTO skill_job1 SELECT {IDS[type_]}, 'python'"
            " FROM generate_series(1, 3) AS n;"
            f"INSERT INTO users SELECT {IDS[type_]}, 'sql' FROM generate_series(1, 5)"
            " AS n",
        )
        list(migrate(url))
        with closing(Database(url, pool_size=1)) as database:
            fill(database, HashEncoder())
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("MODEL_DIR", str(ROOT / "models" / "all-MiniLM-L6-v2"))
        assert recommend_all(["--to-table", "--block", "2"]) == 0
        query = (
            "SELECT count(DISTINCT user_id), count(*) FROM recommender.recommendation"
        )
        assert run(url, query) == [(5, 15)]


def test_help_names_the_options() -> None:
    done = script("recommend_all.py", "--help")
    assert done.returncode == 0
    assert "--to-table" in done.stdout
