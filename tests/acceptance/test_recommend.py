"""The HTTP contract, against a real process."""

import re
import signal

import pytest

from app.commands.embed import main as generate_embeddings
from tests.support.postgres import run
from tests.support.rows import add_pending_jobs, add_user
from tests.support.service import Service

TEXTS = [
    "welding, metal fabrication, blueprint reading",
    "patient care, wound dressing, medication",
    "Python, SQL, data analysis",
    "pastry, chocolate tempering, kitchen hygiene",
]


@pytest.fixture
def jobs(
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Four embedded jobs, and user 42, a nurse."""
    add_pending_jobs(database_url, TEXTS)
    add_user(database_url, 42, "nursing elderly people")
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert generate_embeddings([]) == 0
    capsys.readouterr()


@pytest.mark.usefixtures("jobs")
def test_the_best_jobs_of_a_user(service: Service) -> None:
    response = service.recommend(user_id=42, top_n=2)
    assert response.status_code == 200
    body = response.json()
    assert body["success"] is True
    assert body["total_jobs_analyzed"] == 4
    best, second = body["recommendations"]
    assert (best["job_id"], best["skills"]) == (2, TEXTS[1])
    assert best["similarity_score"] > second["similarity_score"]


@pytest.mark.usefixtures("jobs")
def test_a_skills_text_needs_no_user(service: Service) -> None:
    body = service.recommend(skills="making cakes").json()
    assert next(job["job_id"] for job in body["recommendations"]) == 4
    assert len(body["recommendations"]) == 4


@pytest.mark.usefixtures("jobs")
def test_server_timing_tells_where_the_time_went(service: Service) -> None:
    header = service.recommend(user_id=42).headers["Server-Timing"]
    found = re.fullmatch(
        r"encode;dur=([\d.]+), scan;dur=([\d.]+), total;dur=([\d.]+)", header
    )
    assert found
    encode_ms, scan_ms, total_ms = map(float, found.groups())
    assert 0 < encode_ms + scan_ms <= total_ms


def test_an_unknown_user_is_404(service: Service) -> None:
    response = service.recommend(user_id=1)
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json() == {
        "success": False,
        "detail": "No user has this user_id.",
        "status": 404,
        "title": "Not Found",
        "type": "about:blank",
    }


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "The request is not valid: the body is missing."),
        (b"[]", "The request is not valid: the body should be an object."),
        (b"{", "The request is not valid: the body is not JSON."),
        (b"{}", "exactly one of user_id and skills must be given."),
        (b'{"user_id": 1, "skills": "a"}', "exactly one of user_id and skills"),
        (b'{"user_id": null}', "exactly one of user_id and skills"),
        (b'{"skills": "a", "secret-thing": 1}', "has an unknown field."),
        (b'{"skills": "a", "top_n": 0}', "top_n should be greater than or equal to 1."),
        (b'{"skills": "a", "top_n": 101}', "top_n should be less than or equal to 100"),
        (b'{"skills": "a", "top_n": "5"}', "top_n should be an integer."),
        (b'{"skills": "a", "top_n": true}', "top_n should be an integer."),
        (b'{"user_id": 41.5}', "user_id should be an integer or a string."),
        (b'{"user_id": NaN}', "user_id should be an integer or a string."),
        (b'{"skills": "  "}', "skills should have a character that is not a space."),
    ],
)
def test_bad_input_is_422_and_is_not_echoed(
    shared_service: Service, body: bytes, detail: str
) -> None:
    response = shared_service.client.post(
        "/api/recommend", content=body, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 422
    assert response.json()["success"] is False
    assert detail in response.json()["detail"]
    assert "secret-thing" not in response.text


def test_a_body_over_64_kb_is_413(shared_service: Service) -> None:
    response = shared_service.recommend(skills="x" * 70_000)
    assert response.status_code == 413
    assert response.json()["detail"] == "The body is larger than 65536 bytes."


def test_the_process_is_alive_and_says_so(shared_service: Service) -> None:
    assert shared_service.client.get("/healthz").json() == {"success": True}


@pytest.mark.usefixtures("jobs")
def test_readiness_counts_the_rows_by_state(
    service: Service, database_url: str
) -> None:
    run(
        database_url,
        "INSERT INTO skill_job1 (job_id, skills, embedding, embedding_version) VALUES"
        " (5, 'waits', NULL, NULL), (6, ' ', NULL, NULL), (7, NULL, NULL, NULL),"
        " (8, 'short', '\\x00', 'all-MiniLM-L6-v2'), (9, 'old', '\\x00', 'other')",
    )
    body = service.client.get("/readyz").json()
    assert 0 <= body.pop("counted_s_ago") < 60
    assert body == {
        "success": True,
        "jobs": {
            "embedded": 4,
            "pending": 1,
            "stale": 1,
            "malformed": 1,
            "quarantined": 0,
            "blank": 2,
        },
        "users": 1,
        "model": "all-MiniLM-L6-v2",
        "model_loaded": False,
    }


def test_the_openapi_page_describes_the_request(shared_service: Service) -> None:
    assert shared_service.client.get("/docs").status_code == 200
    schemas = shared_service.client.get("/openapi.json").json()["components"]["schemas"]
    request = schemas["RecommendRequest"]
    assert set(request["properties"]) == {
        "user_id",
        "skills",
        "top_n",
        "rank_by",
        "exact",
        "explain",
        "filters",
        "min_score",
        "exclude_job_ids",
        "cursor",
        "distinct",
        "freshness",
        "boost",
        "expires",
        "max_per",
        "diversity",
    }
    assert request["properties"]["top_n"]["maximum"] == 100


def test_sigterm_ends_the_service_with_status_0(service: Service) -> None:
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(20) in (0, -signal.SIGTERM)
