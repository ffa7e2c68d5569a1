"""Which jobs were shown: stored by the service, interleaved, reported and erased."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from psycopg2.sql import SQL, Identifier

from app.commands import doctor
from app.commands import feedback as command
from app.commands.migrate import migrate
from app.commands.recommend_all import main as recommend_all
from app.deadline import Deadline
from app.query.exposure import OnlineReport
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.exposures import ExposureStore
from app.storage.recommendations import RecommendationTable, StoredRecommendation
from tests.integration.pgvector.searching import fill
from tests.integration.test_feedback import change, record
from tests.support.encoders import HashEncoder
from tests.support.postgres import Server, fresh_database, run
from tests.support.rows import add_jobs, add_user, add_users
from tests.support.service import Service, running_service
from tests.support.skills import fill as fill_skills
from tests.support.waiting import wait_until

STORED = (
    "SELECT user_id, job_ids, teams, compared, is_first_page"
    " FROM recommender.exposure ORDER BY at"
)
COMPARED = "rank_by=skills|similarity"
JOBS = 40
SKILLS = [f"skill {number}" for number in range(8)]


@pytest.fixture
def url(database_url: str) -> str:
    add_rows(database_url)
    return database_url


def add_rows(url: str) -> None:
    """Forty jobs with two skills each, and users with three."""
    jobs = range(1, JOBS + 1)
    add_jobs(url, {n: f"{SKILLS[n % 8]}, {SKILLS[n // 8]}" for n in jobs})
    add_users(url, {n: ", ".join(SKILLS[n % 4 : n % 4 + 3]) for n in range(1, 9)})


@contextmanager
def logging_service(url: str, folder: Path, **settings: str) -> Iterator[Service]:
    """A service that stores which jobs it showed; when it has ended, all of them."""
    with running_service(
        url,
        folder / "log",
        EXPOSURE_DAYS="30",
        SKILL_CACHE_DIR=str(folder / "skills"),
        CACHE_DIR=str(folder / "cache"),
        **settings,
    ) as service:
        yield service


def jobs_of(answer: dict[str, Any]) -> list[str]:
    return [str(job["job_id"]) for job in answer["recommendations"]]


def recommended(service: Service, **body: object) -> dict[str, Any]:
    answer = service.recommend(**body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_what_users_were_shown_is_stored_and_nothing_else(
    url: str, tmp_path: Path
) -> None:
    with logging_service(url, tmp_path) as service:
        first = recommended(service, user_id=1, top_n=5)
        second = recommended(service, user_id="1", top_n=5, cursor=first["next_cursor"])
        recommended(service, skills="skill 1")
        assert service.recommend(user_id=99).status_code == 404
        recommended(service, user_id=2, min_score=1.5)
        batch = service.client.post(
            "/api/recommend/batch", json={"user_ids": [3, 99, 4], "top_n": 2}
        ).json()["results"]
        wait_until(lambda: len(run(url, STORED)) == 4, within_s=30)
    assert sorted(run(url, STORED)) == sorted(
        [
            ("1", jobs_of(first), None, None, True),
            ("1", jobs_of(second), None, None, False),
            ("3", jobs_of(batch[0]), None, None, True),
            ("4", jobs_of(batch[2]), None, None, True),
        ]
    )


def test_nothing_is_stored_without_the_setting(url: str, service: Service) -> None:
    recommended(service, user_id=1)
    report = service.client.get("/api/feedback/report").json()
    assert (report["exposure_days"], report["answers"]) == (0, 0)
    service.process.terminate()
    service.process.wait(30)
    assert run(url, STORED) == []


def test_old_ones_are_forgotten_when_the_service_starts(
    url: str, tmp_path: Path
) -> None:
    show(url, 1, [1], age_days=31)
    show(url, 2, [2], age_days=29)
    with logging_service(url, tmp_path):
        wait_until(lambda: len(run(url, STORED)) == 1, within_s=30)
    assert [row[0] for row in run(url, STORED)] == ["2"]


def test_answers_stand_while_what_was_shown_cannot_be_stored(
    url: str, tmp_path: Path
) -> None:
    run(url, "ALTER TABLE recommender.exposure RENAME TO elsewhere")
    with logging_service(url, tmp_path) as service:
        assert len(jobs_of(recommended(service, user_id=1))) == 10
        wait_until(lambda: "Shown jobs are not stored" in service.log, within_s=30)
        assert len(jobs_of(recommended(service, user_id=1))) == 10


# --- interleaved ----------------------------------------------------------------


@pytest.mark.parametrize("backend", ["stream", "replica", "pgvector"])
def test_two_rankings_share_the_places_of_an_answer(
    postgres: Server, tmp_path: Path, backend: str
) -> None:
    with fresh_database(postgres, template="template0") as url:
        extras = ("pgvector",) if backend == "pgvector" else ()
        run(url, "CREATE TABLE skill_job1 (job_id bigint PRIMARY KEY, skills text)")
        run(url, "CREATE TABLE users (user_id bigint PRIMARY KEY, skills text)")
        list(migrate(url, extras=extras))
        add_rows(url)
        database = Database(url, pool_size=1)
        fill_skills(database, HashEncoder())
        if extras:
            fill(database)
        database.close()
        with logging_service(
            url,
            tmp_path,
            SEARCH_BACKEND=backend,
            RANK_BY="skills",
            INTERLEAVE="rank_by:similarity",
        ) as service:
            check_interleaved_pages(service, url)


def check_interleaved_pages(service: Service, url: str) -> None:
    everything: dict[str, list[str]] = {}
    for ranking in ("skills", "similarity"):
        # A request that names the option is answered as it says.
        whole = recommended(service, user_id=1, rank_by=ranking, top_n=JOBS)
        everything[ranking] = jobs_of(whole)
    pages: list[list[str]] = []
    cursor = None
    while cursor is not None or not pages:
        body = {"user_id": 1, "top_n": 7} | ({"cursor": cursor} if cursor else {})
        page = recommended(service, **body)
        assert page == recommended(service, **body)
        assert "match_score" not in page["recommendations"][0]
        pages.append(jobs_of(page))
        cursor = page["next_cursor"]
    union = set(everything["skills"]) | set(everything["similarity"])
    assert sorted(job for page in pages for job in page) == sorted(union)
    wait_until(
        lambda: len(run(url, f"{STORED} OFFSET 2")) == 2 * len(pages), within_s=30
    )
    plain, stored = run(url, STORED)[:2], run(url, STORED)[2:]
    assert {row[2:] for row in plain} == {(None, None, True)}
    assert [row[1] for row in stored] == [page for page in pages for _ in range(2)]
    assert {row[3] for row in stored} == {COMPARED}
    first = stored[0]
    teams = dict(zip(first[1], first[2], strict=True))
    # The best job of each ranking is among the first two places.
    assert {everything["skills"][0], everything["similarity"][0]} <= set(first[1][:3])
    for team, ranking in (("A", "skills"), ("B", "similarity")):
        mine = [job for job in first[1] if teams[job] == team]
        assert mine == sorted(mine, key=everything[ranking].index)


def test_a_dismissed_job_does_not_return_between_interleaved_pages(
    url: str, database: Database, tmp_path: Path
) -> None:
    fill_skills(database, HashEncoder())
    with logging_service(
        url, tmp_path, RANK_BY="skills", INTERLEAVE="rank_by:similarity"
    ) as service:
        seen: list[str] = []
        gone: list[str] = []
        cursor = None
        for _ in range(4):
            body = {"user_id": 1, "top_n": 5} | ({"cursor": cursor} if cursor else {})
            page = recommended(service, **body)
            assert not set(jobs_of(page)) & {*seen, *gone}
            seen += jobs_of(page)
            hidden = min(set(map(str, range(1, JOBS + 1))) - {*seen, *gone}, key=int)
            event = {"user_id": 1, "job_id": hidden, "event": "dismissed"}
            assert service.client.post("/api/feedback", json=event).status_code == 200
            gone.append(hidden)
            cursor = page["next_cursor"]
        assert not set(seen) & set(gone)
        batch = {"user_ids": [1], "top_n": 100}
        answer = service.client.post("/api/recommend/batch", json=batch).json()
        assert not set(jobs_of(answer["results"][0])) & set(gone)


def test_a_diversity_is_compared_with_none(url: str, tmp_path: Path) -> None:
    with logging_service(url, tmp_path, INTERLEAVE="diversity:0.5") as service:
        answer = recommended(service, user_id=1, top_n=8)
        recommended(service, user_id=1, top_n=8, diversity=0.2)
        recommended(service, skills="skill 1", top_n=8)
        wait_until(lambda: len(run(url, STORED)) == 2, within_s=30)
    first, second = run(url, STORED)
    assert (first[1], first[3]) == (jobs_of(answer), "diversity=0|0.5")
    assert set(first[2]) <= set("AB-")
    assert second[2:4] == (None, None)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"INTERLEAVE": "rank_by:skills"}, "INTERLEAVE: it needs EXPOSURE_DAYS"),
        ({"INTERLEAVE": "top_n:3", "EXPOSURE_DAYS": "9"}, "INTERLEAVE: it is a pair"),
        ({"INTERLEAVE": "diversity:2", "EXPOSURE_DAYS": "9"}, "from 0 to 1"),
        (
            {"INTERLEAVE": "rank_by:best", "EXPOSURE_DAYS": "9"},
            "The ranking in INTERLEAVE should be one of",
        ),
        (
            {"INTERLEAVE": "rank_by:similarity", "EXPOSURE_DAYS": "9"},
            "INTERLEAVE compares the rank_by similarity with itself",
        ),
        (
            {"INTERLEAVE": "diversity:0.0", "EXPOSURE_DAYS": "9"},
            "INTERLEAVE compares the diversity 0 with itself",
        ),
    ],
)
def test_a_comparison_that_cannot_be_is_named_at_the_start(
    url: str, tmp_path: Path, settings: dict[str, str], problem: str
) -> None:
    with (
        pytest.raises(RuntimeError, match="status 2"),
        running_service(url, tmp_path / "log", **settings),
    ):
        pass
    assert problem in (tmp_path / "log").read_text()


# --- the report -----------------------------------------------------------------


def show(
    url: str,
    user: int,
    jobs: list[int],
    *,
    age_days: float = 0.0,
    teams: str | None = None,
    is_first_page: bool = True,
) -> None:
    run(
        url,
        "INSERT INTO recommender.exposure"
        " (user_id, at, job_ids, is_first_page, compared, teams)"
        " VALUES (%s, clock_timestamp() - %s * interval '1 day', %s, %s, %s, %s)",
        (str(user), age_days, [str(job) for job in jobs], is_first_page,
         COMPARED if teams else None, teams),
    )  # fmt: skip


def reported(database: Database) -> OnlineReport:
    return ExposureStore(database).report(Deadline.after(30))


def test_an_event_counts_once_and_only_after_the_job_was_shown(
    url: str, database: Database
) -> None:
    assert reported(database).since is None
    record(database, change(1, 9, "opened"))  # before it is shown
    show(url, 1, list(range(1, 13)))
    show(url, 1, list(range(1, 13)))
    show(url, 1, [13, 14], is_first_page=False)
    show(url, 2, [1])
    for job in (1, 11, 13):
        record(database, change(1, job, "opened"), change(1, job, "applied"))
    record(database, change(1, 2, "saved"), change(1, 3, "dismissed"))
    record(database, change(2, 30, "opened"))  # never shown
    report = reported(database)
    assert (report.answers, report.users) == (4, 2)
    every, ten = report.every, report.first_ten
    assert (every.shown, every.opened, every.saved, every.applied, every.dismissed) == (
        15, 3, 1, 3, 1,
    )  # fmt: skip
    assert (ten.shown, ten.opened, ten.saved, ten.applied, ten.dismissed) == (
        11, 1, 1, 1, 1,
    )  # fmt: skip
    assert report.comparisons == []


def test_a_user_prefers_the_setting_whose_jobs_got_more_events(
    url: str, database: Database
) -> None:
    for user in range(1, 6):
        show(url, user, [1, 2, 3, 4, 5], teams="ABAB-")
    show(url, 5, [2, 7], teams="AB")  # job 2 was B's before
    record(database, change(1, 1, "opened"), change(1, 1, "saved"))  # one job: A
    record(database, change(2, 2, "opened"), change(2, 4, "applied"))  # B
    record(database, change(2, 1, "opened"))
    record(database, change(3, 1, "opened"), change(3, 2, "opened"))  # neither
    record(database, change(4, 5, "opened"), change(4, 2, "dismissed"))  # neither
    record(database, change(5, 2, "opened"))  # A, that showed it last
    (found,) = reported(database).comparisons
    assert (found.compared, found.answers, found.users) == (COMPARED, 6, 5)
    assert (found.prefer_a, found.prefer_b) == (2, 1)


def test_the_report_over_http_and_of_the_doctor(
    url: str,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(url, 1, [1, 2, 3, 4], teams="ABAB")
    record(database, change(1, 2, "opened"))
    with logging_service(url, tmp_path) as service:
        report = service.client.get("/api/feedback/report").json()
    assert report["success"] is True
    assert report["every"] == {
        "shown": 4, "opened": 1, "saved": 0, "applied": 0, "dismissed": 0,
    }  # fmt: skip
    (compared,) = report["comparisons"]
    assert (compared["prefer_a"], compared["prefer_b"]) == (0, 1)
    assert (compared["share_b"], compared["p_value"]) == (1.0, 1.0)
    monkeypatch.setenv("DATABASE_URL", url)
    doctor.main([])
    said = capsys.readouterr().out
    assert "shown: 4 jobs in 1 answer to 1 user" in said
    assert "compared: rank_by skills (A) with similarity (B), in 1 answer" in said
    doctor.main(["--json"])
    assert json.loads(capsys.readouterr().out)["online"]["every"]["opened"] == 1


def test_the_doctor_names_what_is_kept_for_too_long(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    show(url, 1, [1], age_days=40)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("EXPOSURE_DAYS", "60")
    doctor.main([])
    assert "Shown jobs have been stored" not in capsys.readouterr().out
    monkeypatch.setenv("EXPOSURE_DAYS", "20")
    doctor.main(["--json"])
    (mend,) = [
        finding["mend"]
        for finding in json.loads(capsys.readouterr().out)["findings"]
        if finding["problem"].startswith("Shown jobs have been stored")
    ]
    run(url, mend)
    doctor.main([])
    assert "Shown jobs have been stored" not in capsys.readouterr().out


# --- erased ---------------------------------------------------------------------


def mentions(url: str, value: str) -> set[str]:
    """The tables and columns of our schema that hold this value, by the catalogue."""
    columns = run(
        url,
        "SELECT c.relname, a.attname FROM pg_class AS c"
        " JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0"
        " AND NOT a.attisdropped"
        " WHERE c.relnamespace = 'recommender'::regnamespace"
        " AND c.relkind IN ('r', 'p', 'm', 'f') ORDER BY 1, 2",
    )
    assert len(columns) > 50
    found = set()
    for table, column in columns:
        query = SQL(
            "SELECT count(*) FROM recommender.{} AS t WHERE to_jsonb(t.{})::text ~ %s"
        ).format(Identifier(table), Identifier(column))
        if run(url, query, (value,))[0][0]:
            found.add(f"{table}.{column}")
    return found


PERSON = 77_001_177


@pytest.fixture
def person(
    url: str,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., int]:
    """The command, over a user of whom every kind of thing is stored."""
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("SKILL_CACHE_DIR", str(tmp_path / "all"))
    add_user(url, PERSON, "skill 1, skill 2")
    fill_skills(database, HashEncoder())
    with logging_service(url, tmp_path) as service:
        (job, *_) = jobs_of(recommended(service, user_id=PERSON))
        record(database, change(PERSON, int(job), "saved"))
        record(database, change(PERSON, 1, "dismissed"))
    assert recommend_all(["--to-table"]) == 0
    return lambda *arguments: command.main([str(PERSON), *arguments])


def test_erasing_a_person_leaves_nothing_in_any_table(
    person: Callable[..., int], url: str, tmp_path: Path
) -> None:
    before = mentions(url, str(PERSON))
    assert before >= {
        "feedback.user_id", "exposure.user_id", "recommendation.user_id",
        "user_state.user_id",
    }  # fmt: skip
    run(url, f"DELETE FROM users WHERE user_id = {PERSON}")
    file = tmp_path / "person.json"
    assert person("--erase", "--export", str(file)) == 0
    exported = json.loads(file.read_text())
    assert [row["event"] for row in exported["feedback"]] == ["dismissed", "saved"]
    (shown,) = exported["exposures"]
    assert len(shown["job_ids"]) == 10
    assert len(exported["recommendations"]) == 10
    assert mentions(url, str(PERSON)) == set()


def test_erasing_a_person_leaves_nothing_in_an_unfinished_run(
    person: Callable[..., int], url: str, database: Database
) -> None:
    with database.write(Deadline.after(30)) as transaction:
        table = RecommendationTable(Catalogue.read(transaction))
        begun = table.open_run(transaction, "question")
        for user in (1, 2, PERSON):
            row = StoredRecommendation(user, 1, 7, 0.5, None)
            begun = table.store(transaction, begun, [user], [row])
    run(url, f"DELETE FROM users WHERE user_id = {PERSON}")
    assert person("--erase") == 0
    assert mentions(url, str(PERSON)) == set()
    with database.write(Deadline.after(30)) as transaction:
        resumed = table.open_run(transaction, "question")
        assert (resumed.number, resumed.after) == (begun.number, 2)
        table.store(transaction, resumed, [3], [])
