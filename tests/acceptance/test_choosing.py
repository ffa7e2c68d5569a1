"""Filters, columns, pages and batches over HTTP."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.ranking.registry import RANKINGS
from tests.support.bulk import fill_jobs
from tests.support.columns import (
    NAMES,
    add_columns,
    as_json,
    made_filters,
    made_rows,
    matches,
)
from tests.support.postgres import Server, fresh_database, run
from tests.support.rows import add_users
from tests.support.service import Service, running_service

JOBS = 300
USERS = 70
ROWS = dict(enumerate(made_rows(JOBS, seed=7), start=1))


@pytest.fixture(scope="module")
def url(postgres: Server, template: str) -> Iterator[str]:
    with fresh_database(postgres, template=template) as url:
        fill_jobs(url, JOBS)
        add_columns(url, ROWS)
        users = range(1, USERS + 1)
        add_users(url, {user: f"skill {user}, python" for user in users} | {100: " "})
        yield url


@pytest.fixture(scope="module")
def offering(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with filterable columns."""
    log = tmp_path_factory.mktemp("offering") / "log"
    with running_service(
        url, log, JOB_COLUMNS=NAMES, MAX_TOP_N="1000", LOG_LEVEL="debug"
    ) as running:
        yield running


def jobs(service: Service, **body: object) -> list[dict[str, Any]]:
    response = service.recommend(**body)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["recommendations"]
    return found


def test_the_columns_are_listed_with_their_types(offering: Service) -> None:
    assert offering.client.get("/api/columns").json() == {
        "success": True,
        "columns": [
            {"name": "location", "type": "text"},
            {"name": "salary", "type": "integer"},
            {"name": "rating", "type": "number"},
            {"name": "remote", "type": "boolean"},
            {"name": "posted", "type": "date"},
            {"name": "seen", "type": "timestamp"},
        ],
        "rank_by": "hybrid",
    }


def test_filters_only_remove_jobs_that_do_not_match(
    offering: Service,
) -> None:
    whole = jobs(offering, user_id=1, top_n=1000)
    assert len(whole) == JOBS
    rng = random.Random(8)
    for _ in range(100):
        given = made_filters(rng, list(ROWS.values()))
        wanted = [job for job in whole if matches(given, ROWS[job["job_id"]])]
        body = offering.recommend(user_id=1, top_n=1000, filters=given).json()
        assert body["recommendations"] == wanted, given
        assert body["total_jobs_analyzed"] == len(wanted)


def test_each_job_shows_its_columns(offering: Service) -> None:
    for job in jobs(offering, user_id=1, top_n=50, explain=True):
        row = ROWS[job["job_id"]]
        assert job["columns"] == {name: as_json(row[name]) for name in row}


def test_filters_of_different_requests_do_not_mix_when_they_wait_together(
    offering: Service,
) -> None:
    """Only equal filters share a scan; True, 1 and "a" are different values."""
    bodies = [
        {"user_id": 1 + n % USERS, "top_n": 5, "filters": given, "min_score": least}
        for n, (given, least) in enumerate(
            (given, least)
            for given in ({}, {"remote": True}, {"remote": 1}, {"location": "Berlin"})
            for least in (None, 0.0)
            for _ in range(6)
        )
    ]
    alone = [offering.recommend(**body) for body in bodies]
    with ThreadPoolExecutor(len(bodies)) as pool:
        together = list(pool.map(lambda body: offering.recommend(**body), bodies))
    assert [each.json() for each in together] == [each.json() for each in alone]
    assert [each.status_code for each in together].count(422) == 12


def test_a_list_of_1000_values_is_taken_and_one_more_is_not(offering: Service) -> None:
    salaries = list(range(30_000, 31_000))
    found = jobs(offering, user_id=1, filters={"salary": salaries}, top_n=1000)
    assert {job["columns"]["salary"] for job in found} == {30_000}
    response = offering.recommend(user_id=1, filters={"salary": [*salaries, 1]})
    assert response.status_code == 422
    assert "filters.salary has 1001 values" in response.json()["detail"]


def test_filters_that_match_nothing_give_an_empty_list(offering: Service) -> None:
    nothing: list[dict[str, object]] = [
        {"location": "Atlantis"},
        {"salary": []},
        {"salary": {"gt": 10**9}},
    ]
    for given in nothing:
        body = offering.recommend(user_id=1, filters=given).json()
        assert body["success"] is True
        assert (body["recommendations"], body["total_jobs_analyzed"]) == ([], 0)
        assert body["next_cursor"] is None


HOSTILE = [
    "' OR '1'='1", "\" OR \"\"=\"", "'; DROP TABLE skill_job1; --", "\\'; SELECT 1 --",
    "$$", "%s", "%(ids)s", "{}", "{location}", "') TO PROGRAM 'touch /tmp/owned' --",
    "Berlin'::text[]) OR true --", "\u202e", "E'\\x00'", "/*", "*/",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_f72_injections_in_filters_are_inert(
    offering: Service, url: str, text: str
) -> None:
    before = run(url, "SELECT count(*) FROM skill_job1")
    for given in ({"location": text}, {"location": [text, "Atlantis"]}):
        response = offering.recommend(user_id=1, filters=given)
        assert response.status_code == 200
        found = response.json()["recommendations"]
        assert {job["columns"]["location"] for job in found} <= {text}
    misshapen: list[dict[str, object]] = [
        {"salary": text}, {"posted": {"gte": text}}, {"remote": [text]},
        {text: 1}, {"salary": {text: 1}}, {"seen": text}, {"rating": {"lt": text}},
    ]  # fmt: skip
    for bad in misshapen:
        response = offering.recommend(user_id=1, filters=bad)
        assert response.status_code == 422, bad
        assert text not in response.json()["detail"]
    assert offering.recommend(user_id=1, cursor=text).status_code == 422
    assert offering.recommend(user_id=1, exclude_job_ids=[text]).status_code == 200
    assert run(url, "SELECT count(*) FROM skill_job1") == before
    assert text not in offering.log


@pytest.mark.parametrize(
    ("part", "detail"),
    [
        ('"filters": {"salary": NaN}', "filters.salary should be an integer of 64"),
        ('"filters": {"rating": Infinity}', "filters.rating should be a finite number"),
        ('"filters": {"rating": 1e999}', "filters.rating should be a finite number"),
        ('"filters": {"salary": 9223372036854775808}', "filters.salary should be an"),
        ('"filters": {"location": "a\\u0000"}', "filters.location should be text"),
        ('"filters": {"location": "\\ud800"}', "filters.location should be text"),
        ('"filters": {"location": {"gte": "a"}}', "filters.location can be one value"),
        ('"filters": {"posted": "2026-02-30"}', "filters.posted should be a date"),
        ('"filters": {"posted": {"gte": "yesterday"}}', "filters.posted should be a"),
        ('"filters": {"seen": "2026-01-01T25:00"}', "filters.seen should be a time"),
        (
            '"filters": {"town": "Berlin"}',
            "an unknown column; the columns are loc",
        ),
        ('"filters": {"\\ud800": 1}', "the request is not valid"),
        ('"filters": []', "filters should be an object"),
        ('"filters": {"remote": [[true]]}', "filters.remote should be a value"),
        ('"min_score": NaN', "min_score should be a finite number"),
        ('"min_score": "0.5"', "min_score should be a number"),
        ('"exclude_job_ids": [1.5]', "exclude_job_ids[0] should be an integer"),
        ('"exclude_job_ids": [true]', "exclude_job_ids"),
        ('"exclude_job_ids": 5', "exclude_job_ids should be a list"),
        ('"exclude_job_ids": [[1]]', "exclude_job_ids"),
        ('"cursor": ""', "The cursor belongs to another query"),
        ('"cursor": "AAAA"', "The cursor belongs to another query"),
        ('"cursor": 5', "cursor should be a string"),
        ('"cursor": "' + "A" * 4097 + '"', "cursor"),
    ],
)
def test_bad_choices_are_422_with_a_reason(
    offering: Service, part: str, detail: str
) -> None:
    for rank_by in RANKINGS:
        response = offering.client.post(
            "/api/recommend",
            content=f'{{"user_id": 1, "rank_by": "{rank_by}", {part}}}',
            headers={"Content-Type": "application/json"},
        )
        assert response.status_code == 422, response.text
        assert detail.lower() in response.json()["detail"].lower()


def test_pages_by_cursor_are_the_whole_answer_and_null_asks_for_the_first(
    offering: Service,
) -> None:
    given = {"remote": [False, None]}
    whole = jobs(offering, user_id=2, top_n=1000, filters=given)
    pages: list[Any] = []
    cursor = None
    while True:
        body = offering.recommend(
            user_id="2", top_n=40, filters=given, cursor=cursor
        ).json()
        pages += body["recommendations"]
        cursor = body["next_cursor"]
        if cursor is None:
            break
    assert pages == whole
    assert len(pages) > 100


def test_a_cursor_of_another_query_is_refused(offering: Service) -> None:
    cursor = offering.recommend(user_id=2, top_n=3).json()["next_cursor"]
    others: list[dict[str, object]] = [
        {"user_id": 3},
        {"skills": "skill 2, python"},
        {"user_id": 2, "filters": {"remote": True}},
        {"user_id": 2, "rank_by": "skills"},
    ]
    for other in others:
        response = offering.recommend(cursor=cursor, **other)
        if other.get("rank_by") == "skills":
            assert response.status_code in (200, 422)  # no skill of it is known
            continue
        assert response.status_code == 422, other
        assert "belongs to another query" in response.json()["detail"]


def test_excluded_jobs_never_reduce_how_many_there_are(offering: Service) -> None:
    whole = [job["job_id"] for job in jobs(offering, user_id=3, top_n=1000)]
    excluded = [*whole[:5], str(whole[5]), "none", 2**63 - 1]
    found = [
        job["job_id"]
        for job in jobs(offering, user_id=3, top_n=9, exclude_job_ids=excluded)
    ]
    assert found == whole[6:15]
    too_many = offering.recommend(user_id=3, exclude_job_ids=list(range(1001)))
    assert too_many.status_code == 422


def test_a_least_score_that_was_published_keeps_its_job(offering: Service) -> None:
    whole = jobs(offering, user_id=4, top_n=1000)
    for place in (0, 10, 200):
        least = whole[place]["similarity_score"]
        found = jobs(offering, user_id=4, top_n=1000, min_score=least)
        assert found == [job for job in whole if job["similarity_score"] >= least]
        assert found[-1]["similarity_score"] == least
    assert jobs(offering, user_id=4, min_score=2) == []


@pytest.mark.parametrize("rank_by", RANKINGS)
def test_a_batch_gives_each_user_the_answer_of_a_request_alone(
    offering: Service, rank_by: str
) -> None:
    common = {
        "top_n": 4,
        "rank_by": rank_by,
        "filters": {"remote": False},
        "min_score": -1,
        "explain": True,
    }
    ids = [*range(1, 20), 9999, 100, "7", 7]
    body = offering.client.post(
        "/api/recommend/batch", json={"user_ids": ids, **common}
    ).json()
    assert body["success"] is True
    for user_id, result in zip(ids, body["results"], strict=True):
        alone = offering.recommend(user_id=user_id, **common).json()
        assert result == {"user_id": user_id, **alone}
    assert body["results"][19] == {
        "user_id": 9999,
        "success": False,
        "detail": "No user has this user_id.",
        "status": 404,
        "title": "Not Found",
        "type": "about:blank",
    }
    assert body["results"][20]["detail"] == "This user has no skills to match."


def test_users_of_one_request_share_a_batch(offering: Service) -> None:
    def passes() -> float:
        lines = offering.client.get("/metrics").text.splitlines()
        name = "recommender_batch_size_count "
        return next(float(x.removeprefix(name)) for x in lines if x.startswith(name))

    before = passes()
    response = offering.client.post(
        "/api/recommend/batch", json={"user_ids": list(range(1, 65))}
    )
    assert len(response.json()["results"]) == 64
    assert "scan;dur=" in response.headers["Server-Timing"]
    assert passes() == before + 1


@pytest.mark.parametrize("ids", [[], list(range(65)), [1.5], [None], "1", [[1]]])
def test_a_batch_has_1_to_64_ids(offering: Service, ids: object) -> None:
    response = offering.client.post("/api/recommend/batch", json={"user_ids": ids})
    assert response.status_code == 422
    assert "user_ids" in response.json()["detail"]


def test_without_job_columns_nothing_is_shown_or_filtered(
    shared_service: Service,
) -> None:
    assert shared_service.client.get("/api/columns").json() == {
        "success": True,
        "columns": [],
        "rank_by": "hybrid",
    }
    response = shared_service.recommend(skills="a", filters={"location": "Berlin"})
    assert response.status_code == 422
    assert response.json()["detail"].endswith("because JOB_COLUMNS names no columns.")
    assert shared_service.recommend(skills="a", filters={}).status_code == 200
    assert shared_service.recommend(skills="a", filters=None).status_code == 200


def test_the_document_tells_the_types_of_filters(offering: Service) -> None:
    offering.client.get("/api/columns")
    document = offering.client.get("/openapi.json").json()
    for name in ("RecommendRequest", "BatchRequest"):
        schema = document["components"]["schemas"][name]["properties"]["filters"]
        by_column, _null = schema["anyOf"]
        assert by_column["additionalProperties"] is False
        assert list(by_column["properties"]) == NAMES.split(",")
        day = by_column["properties"]["posted"]["anyOf"]
        assert day[0] == {"type": "string", "format": "date"}
        assert len(by_column["properties"]["remote"]["anyOf"]) == 3
    items = document["components"]["schemas"]["BatchRequest"]["properties"]["user_ids"]
    assert (items["minItems"], items["maxItems"]) == (1, 64)
