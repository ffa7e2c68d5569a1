"""Ranking by skills over HTTP, with the real model."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from psycopg2.sql import SQL

from app.commands.embed import main as generate_embeddings
from app.commands.migrate import migrate
from tests.support.postgres import Server, fresh_database, run
from tests.support.rows import add_job
from tests.support.service import ROOT, Service, running_service

JOBS = {
    1: "JavaScript, PostgreSQL, HTML",
    2: "Java, Spring, Oracle",
    3: "patient care, first aid",
    4: "welding",
}


@pytest.fixture(scope="module")
def service(
    postgres: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service over four jobs and two users, embedded by the script."""
    folder: Path = tmp_path_factory.mktemp("service")
    with fresh_database(postgres) as url, pytest.MonkeyPatch.context() as patch:
        for id_, skills in JOBS.items():
            statement = SQL("INSERT INTO skill_job1 (job_id, skills) VALUES (%s, %s)")
            run(url, statement, (id_, skills))
        run(url, "INSERT INTO users (user_id, skills) VALUES (7, 'JS, Postgres, Judo')")
        run(url, "INSERT INTO users (user_id, skills) VALUES (8, 'nursing care')")
        patch.setenv("DATABASE_URL", url)
        patch.setenv("MODEL_DIR", str(ROOT / "models" / "all-MiniLM-L6-v2"))
        assert generate_embeddings([]) == 0
        cache = str(folder / "cache")
        log = folder / "service.log"
        with running_service(url, log, SKILL_CACHE_DIR=cache) as running:
            yield running


def test_ranking_by_skills_says_why(service: Service) -> None:
    body = service.recommend(user_id=7, top_n=2, rank_by="skills").json()
    best = body["recommendations"][0]
    assert body["success"] is True
    assert body["total_jobs_analyzed"] == 4
    assert (best["job_id"], best["skills"]) == (1, JOBS[1])
    assert [(m["skill"], m["job_skill"], m["similarity"]) for m in best["matched"]] == [
        ("JS", "JavaScript", 1.0),
        ("Postgres", "PostgreSQL", 1.0),
    ]
    assert best["missing"] == ["Judo"]
    assert 0.5 < best["match_score"] < 0.67
    plain = service.recommend(user_id=7, top_n=4).json()["recommendations"]
    scores = {job["job_id"]: job["similarity_score"] for job in plain}
    assert best["similarity_score"] == scores[1]


def test_java_is_not_taken_for_javascript(service: Service) -> None:
    asked = {"skills": "Java", "top_n": 4, "rank_by": "skills"}
    jobs = service.recommend(**asked).json()["recommendations"]
    # The others have nothing of it: they are no recommendations at all.
    assert [job["job_id"] for job in jobs] == [2]


def test_an_answer_without_any_match_says_so_and_recommends_nothing(
    service: Service,
) -> None:
    body = service.recommend(skills="falconry", rank_by="skills").json()
    assert body["success"] is True
    assert body["recommendations"] == []
    assert body["total_jobs_analyzed"] == 4
    assert body["detail"] == "No job has any of these skills, or one like them."


def test_the_hybrid_ranking_says_why_and_how_relevant_each_job_is(
    service: Service,
) -> None:
    body = service.recommend(user_id=7, top_n=4, rank_by="hybrid").json()
    best = body["recommendations"][0]
    assert best["job_id"] == 1
    assert [m["job_skill"] for m in best["matched"]] == ["JavaScript", "PostgreSQL"]
    assert 0 < best["match_score"] < 1
    assert best["relevance"] in ("strong", "possible")
    assert body["recommendations"][-1]["relevance"] == "weak"
    assert body["detail"] is None
    scores = [job["match_score"] for job in body["recommendations"]]
    assert scores == sorted(scores, reverse=True)


def test_an_answer_of_weaker_matches_only_says_so(service: Service) -> None:
    body = service.recommend(skills="falconry", rank_by="hybrid").json()
    assert {job["relevance"] for job in body["recommendations"]} == {"weak"}
    assert body["detail"] == (
        "These are weaker matches only: none of them is close to what was asked."
    )


@pytest.mark.parametrize("given", [True, False, None])
def test_distinct_is_for_rankings_by_skills(
    service: Service, given: bool | None
) -> None:
    for rank_by, by_default in (("hybrid", True), ("skills", False)):
        asked = {"skills": "welding", "rank_by": rank_by, "distinct": given}
        (job, *_) = service.recommend(**asked).json()["recommendations"]
        is_distinct = by_default if given is None else given
        assert ("repeats" in job) == is_distinct
    refused = service.recommend(skills="welding", distinct=given)
    assert refused.status_code == (422 if given else 200)
    if given:
        assert refused.json()["detail"] == (
            "The request is not valid: distinct needs a rank_by among skills, hybrid."
        )


def test_without_rank_by_the_answer_is_as_before_to_the_last_byte(
    service: Service,
) -> None:
    absent = service.recommend(user_id=7, top_n=4)
    assert set(absent.json()["recommendations"][0]) == {
        "job_id",
        "similarity_score",
        "skills",
    }
    given = service.recommend(user_id=7, top_n=4, rank_by="similarity", explain=False)
    assert given.content == absent.content


def test_explain_adds_the_reasons_to_the_plain_ranking(service: Service) -> None:
    plain = service.recommend(user_id=7, top_n=4).json()["recommendations"]
    explained = service.recommend(user_id=7, top_n=4, explain=True).json()
    kept = [
        {key: job[key] for key in ("job_id", "similarity_score", "skills")}
        for job in explained["recommendations"]
    ]
    assert kept == plain
    reasons = {job["job_id"]: job["missing"] for job in explained["recommendations"]}
    assert reasons[1] == ["Judo"]


def test_similar_jobs_leave_out_the_job_itself_and_need_no_model(
    service: Service,
) -> None:
    body = service.client.get("/api/jobs/1/similar", params={"top_n": 2}).json()
    assert len(body["similar"]) == 2
    assert body["similar"][0]["job_id"] == 2
    assert body["total_jobs_analyzed"] == 4


@pytest.mark.parametrize("job_id", ["a/b", "/", "50%2F", "x?y#z", "similar"])
def test_jobs_like_one_whose_id_is_awkward_in_a_url(
    postgres: Server, tmp_path: Path, job_id: str
) -> None:
    with fresh_database(postgres) as url:
        run(
            url,
            "ALTER TABLE skill_job1 ALTER job_id DROP IDENTITY;"
            " ALTER TABLE skill_job1 ALTER job_id TYPE text",
        )
        list(migrate(url))  # the state has the new type, too
        for id_ in (job_id, "plain"):
            add_job(url, id_, "welding", embedding=np.ones(384, "<f4").tobytes())
        with running_service(url, tmp_path / "log") as running:
            path = f"/api/jobs/{quote(job_id, safe='')}/similar"
            (other,) = running.client.get(path).json()["similar"]
            assert other["job_id"] == "plain"


@pytest.mark.parametrize("rank_by", ["skills", "similarity"])
def test_candidates_for_a_job(service: Service, rank_by: str) -> None:
    body = {"job_id": 3, "top_n": 1, "rank_by": rank_by}
    answer = service.client.post("/api/candidates", json=body).json()
    if rank_by == "skills":
        assert [c["user_id"] for c in answer["candidates"]] == [8]
        assert answer["candidates"][0]["close"][0]["job_skill"] == "nursing care"
    else:
        assert answer["success"] is True  # ranked by users' stored embeddings


@pytest.mark.parametrize("path", ["/api/jobs/99/similar", "/api/jobs/x/similar"])
def test_f18_an_unknown_job_is_not_found(service: Service, path: str) -> None:
    answer = service.client.get(path)
    assert (answer.status_code, answer.json()["success"]) == (404, False)


def test_f10_a_top_n_or_ranking_that_is_not_known_is_refused(service: Service) -> None:
    for body in (
        {"rank_by": "magic"},
        {"rank_by": 1},
        {"explain": "yes"},
        {"top_n": 0},
    ):
        assert service.recommend(user_id=7, **body).status_code == 422
    wrong = service.client.post("/api/candidates", json={"job_id": 1, "top_n": 1000})
    assert wrong.status_code == 422
    assert service.client.get("/api/jobs/1/similar?top_n=0").status_code == 422


def test_many_at_once_get_the_answers_of_one_after_the_other(
    service: Service,
) -> None:
    texts = [f"{a}, {b}" for a in JOBS.values() for b in ("Go", "SQL", "nursing")]
    alone = [service.recommend(skills=t, rank_by="skills").json() for t in texts]
    with ThreadPoolExecutor(len(texts)) as pool:
        together = list(
            pool.map(
                lambda t: service.recommend(skills=t, rank_by="skills").json(),
                [text for text in texts for _ in range(4)],
            )
        )
    assert together == [answer for answer in alone for _ in range(4)]
