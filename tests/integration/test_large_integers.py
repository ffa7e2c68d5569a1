"""Integers beyond JavaScript's range: strings in responses, both in requests."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.ranking.registry import RANKINGS
from tests.support.embedding import embed
from tests.support.postgres import Server, fresh_database, run
from tests.support.rows import add_job, add_user
from tests.support.service import Service, running_service

# Each with what an answer holds of it.
IDS: dict[int, object] = {
    7: 7,
    -7: -7,
    2**53 - 1: 2**53 - 1,
    -(2**53) + 1: -(2**53) + 1,
    2**53: "9007199254740992",
    2**53 + 1: "9007199254740993",
    -(2**53) - 1: "-9007199254740993",
    2**63 - 1: "9223372036854775807",
    -(2**63): "-9223372036854775808",
}
LARGE = 2**53 + 1
# What a numeric holds, and what an answer shows of it.
NUMERICS = {
    "9007199254740993": "9007199254740993",
    "-9007199254740993.00": "-9007199254740993",
    "9007199254740991.0": 2**53 - 1,
    "12345678901234567890123456789": "12345678901234567890123456789",
    "0.00042": 0.00042,
    "9007199254740993.5": 9007199254740993.5,
    "1e5": 100_000,
}


@pytest.fixture(scope="module")
def url(postgres: Server) -> Iterator[str]:
    with fresh_database(postgres) as url:
        for id_ in IDS:
            add_job(url, id_, f"skill {id_}, python")
            add_user(url, id_, f"skill {id_}, python")
        run(url, "ALTER TABLE skill_job1 ADD views bigint, ADD budget numeric")
        run(url, "UPDATE skill_job1 SET views = job_id")
        for id_, budget in zip(IDS, NUMERICS, strict=False):
            run(
                url,
                "UPDATE skill_job1 SET budget = %s WHERE job_id = %s",
                (budget, id_),
            )
        embed(url)
        yield url


@pytest.fixture(scope="module")
def large(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("large")
    with running_service(
        url, folder / "log", JOB_COLUMNS="views,budget", SKILL_CACHE_DIR=str(folder)
    ) as running:
        yield running


def ids(answer: dict[str, Any], key: str = "recommendations") -> set[object]:
    name = "user_id" if key == "candidates" else "job_id"
    return {one[name] for one in answer[key]}


def as_javascript_reads_it(text: str) -> Any:
    """JSON whose numbers are doubles."""
    return json.loads(text, parse_int=lambda digits: int(float(digits)))


@pytest.mark.parametrize("rank_by", RANKINGS)
def test_f112_every_id_survives_a_client_whose_numbers_are_doubles(
    large: Service, rank_by: str
) -> None:
    response = large.recommend(
        skills="python", rank_by=rank_by, explain=True, distinct=False
    )
    answer = as_javascript_reads_it(response.text)
    assert ids(answer) == set(IDS.values())
    for job in answer["recommendations"]:
        assert job["columns"]["views"] == job["job_id"]


@pytest.mark.parametrize("given", [LARGE, str(LARGE), -LARGE, str(-LARGE), 7, "7"])
def test_f112_an_id_is_accepted_as_a_number_and_as_a_string(
    large: Service, given: int | str
) -> None:
    client = large.client
    shown = IDS[int(given)]
    similar = client.get(f"/api/jobs/{given}/similar").json()
    assert ids(similar, "similar") == set(IDS.values()) - {shown}
    assert large.recommend(user_id=given).status_code == 200
    left = large.recommend(skills="python", exclude_job_ids=[given]).json()
    assert ids(left) == set(IDS.values()) - {shown}
    body = {"job_id": given, "rank_by": "skills"}
    assert client.post("/api/candidates", json=body).status_code == 200
    batch = client.post("/api/recommend/batch", json={"user_ids": [given]}).json()
    assert batch["results"][0]["user_id"] in (shown, given)
    assert ids(batch["results"][0]) == set(IDS.values())


def test_f112_a_batch_and_candidates_name_users_by_the_same_ids(
    large: Service,
) -> None:
    given = list(IDS)
    batch = large.client.post("/api/recommend/batch", json={"user_ids": given})
    results = as_javascript_reads_it(batch.text)["results"]
    assert [one["user_id"] for one in results] == list(IDS.values())
    for rank_by in RANKINGS:
        body = {"job_id": LARGE, "rank_by": rank_by}
        found = large.client.post("/api/candidates", json=body)
        answer = as_javascript_reads_it(found.text)
        assert ids(answer, "candidates") == set(IDS.values())


def test_f112_pages_go_on_after_a_large_id(large: Service) -> None:
    seen: list[object] = []
    cursor = None
    for _ in IDS:
        page = large.recommend(skills="python", top_n=1, cursor=cursor).json()
        seen += [job["job_id"] for job in page["recommendations"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert set(seen) == set(IDS.values())
    assert len(seen) == len(IDS)


def test_f112_figures_of_columns_are_exact_too(large: Service) -> None:
    answer = large.recommend(skills="python").json()
    shown = {
        job["job_id"]: job["columns"]["budget"] for job in answer["recommendations"]
    }
    expected = dict(zip(IDS.values(), NUMERICS.values(), strict=False))
    assert shown == dict.fromkeys(IDS.values()) | expected


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"views": LARGE}, [LARGE]),
        ({"views": str(LARGE)}, [LARGE]),
        ({"views": [str(LARGE), 7, None]}, [LARGE, 7]),
        ({"views": {"gt": str(2**53), "lt": str(2**63 - 1)}}, [LARGE]),
        ({"budget": "9007199254740993"}, [7]),
        ({"budget": {"gte": "12345678901234567890123456789"}}, [-(2**53) + 1]),
    ],
)
def test_f112_a_value_from_a_response_works_as_a_filter(
    large: Service, filters: dict[str, object], found: list[int]
) -> None:
    answer = large.recommend(skills="python", filters=filters).json()
    assert ids(answer) == {IDS[id_] for id_ in found}


@pytest.mark.parametrize("value", ["", "1.5", "9" * 20, "٣", "1e3", " 1", "0x1"])
def test_f112_other_strings_are_no_integers(large: Service, value: str) -> None:
    answer = large.recommend(skills="python", filters={"views": value})
    assert answer.status_code == 422
    assert "filters.views should be an integer" in answer.json()["detail"]
