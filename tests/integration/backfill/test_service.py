"""The backfill inside the service: EMBED_IN_SERVICE=true."""

import signal
from contextlib import ExitStack
from pathlib import Path

from tests.integration.backfill.script import ENVIRONMENT, count_embedded, until
from tests.support.postgres import run
from tests.support.rows import add_pending_jobs, add_user
from tests.support.service import running_service
from tests.support.skills import skills_of

SETTINGS = ENVIRONMENT | {"EMBED_IN_SERVICE": "true", "BLAS_THREADS": "1"}

# uvicorn shuts down in good order and then passes the signal on.
ENDED_WELL = (0, -signal.SIGTERM)


def test_it_embeds_jobs_and_users_and_later_edits(
    database_url: str, tmp_path: Path
) -> None:
    add_pending_jobs(database_url, ["python", "sql"])
    add_user(database_url, 1, "python")
    with running_service(database_url, tmp_path / "log", **SETTINGS) as service:
        until(lambda: count_embedded(database_url) == 2)
        until(lambda: skills_of(database_url) == [["python"], ["sql"]])
        until(lambda: skills_of(database_url, "user_state", "user_id") == [["python"]])
        run(database_url, "UPDATE skill_job1 SET skills = 'cooking' WHERE job_id = 2")
        until(lambda: count_embedded(database_url) == 2)
        best = service.recommend(skills="cooking", top_n=1).json()
        assert best["recommendations"][0]["similarity_score"] == 1.0
        assert best["total_jobs_analyzed"] == 2
        until(lambda: skills_of(database_url) == [["python"], ["cooking"]])
        asked = {"skills": "Cooking", "top_n": 1, "rank_by": "skills"}
        fits = service.recommend(**asked).json()["recommendations"]
        assert [(job["job_id"], job["match_score"]) for job in fits] == [(2, 1.0)]


def test_instances_share_the_work_and_take_over_from_a_killed_one(
    database_url: str, tmp_path: Path
) -> None:
    add_pending_jobs(database_url, [f"skill {n}" for n in range(2000)])
    run(
        database_url,
        "CREATE TABLE stores (job_id bigint);"
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO stores VALUES (NEW.job_id); RETURN NULL; END $$;"
        "CREATE TRIGGER note AFTER UPDATE ON skill_job1"
        " FOR EACH ROW EXECUTE FUNCTION note()",
    )
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(
                running_service(database_url, tmp_path / name, **SETTINGS)
            )
            for name in ("first", "second")
        )
        until(lambda: count_embedded(database_url) > 40)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(20)
        before = count_embedded(database_url)
        until(lambda: count_embedded(database_url) > before + 20)
        second.process.send_signal(signal.SIGTERM)
        assert second.process.wait(20) in ENDED_WELL
    query = "SELECT job_id FROM stores GROUP BY job_id HAVING count(*) > 1"
    assert run(database_url, query) == []


def test_it_stops_at_once_and_gives_its_rows_back(
    database_url: str, tmp_path: Path
) -> None:
    add_pending_jobs(database_url, [f"skill {n}" for n in range(2000)])
    with running_service(database_url, tmp_path / "log", **SETTINGS) as service:
        until(lambda: count_embedded(database_url) > 0)
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(10) in ENDED_WELL
    assert run(database_url, "SELECT * FROM recommender.claim") == []
    assert count_embedded(database_url) < 2000


def test_missing_migrations_are_logged_once_and_affect_no_request(
    database_url: str, tmp_path: Path
) -> None:
    run(database_url, "DROP TABLE recommender.claim")
    add_pending_jobs(database_url, ["python"])
    with running_service(database_url, tmp_path / "log", **SETTINGS) as service:
        until(lambda: "The backfill pauses" in service.log)
        assert service.recommend(skills="python").status_code == 200
        assert "run `python scripts/migrate.py`" in service.log
