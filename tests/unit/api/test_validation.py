"""Sentences for requests that are not valid, over the routes of the API."""

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from app.api.errors import add_error_handlers
from app.api.requests import FeedbackBatchRequest, RecommendRequest
from app.api.strict_route import StrictRoute

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def client() -> TestClient:
    router = APIRouter(route_class=StrictRoute)

    @router.post("/recommend")
    def recommend(body: RecommendRequest) -> dict[str, Any]:
        return body.model_dump(exclude_unset=True)

    @router.post("/events")
    def events(body: FeedbackBatchRequest) -> int:
        return len(body.events)

    @router.get("/similar")
    def similar(top_n: int = 1) -> int:
        return top_n

    app = FastAPI()
    add_error_handlers(app)
    app.include_router(router)
    return TestClient(app)


def detail(client: TestClient, path: str, body: str | bytes) -> str:
    response = client.post(path, content=body, headers=JSON)
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    whole: str = response.json()["detail"]
    return whole.removeprefix("The request is not valid: ").removesuffix(".")


@pytest.mark.parametrize(
    ("field", "value", "wrong"),
    [
        # A union's branches are alternatives, of which the closest one counts.
        ("user_id", "1.5", "user_id should be an integer or a string"),
        ("user_id", "[]", "user_id should be an integer or a string"),
        ("user_id", '""', "user_id should not be empty"),
        ("user_id", str(2**63), f"user_id should be less than {2**63}"),
        ("user_id", '"\\ud800"', "user_id should be a string without lone surrogates"),
        ("exclude_job_ids", "[1, {}]",
         "exclude_job_ids[1] should be an integer or a string"),
        ("exclude_job_ids", "{}", "exclude_job_ids should be a list"),
        ("exclude_job_ids", str([0] * 1001),
         "exclude_job_ids should have at most 1000 items"),
        ("freshness", "{}", "freshness.column is missing"),
        ("freshness", '{"column": 1}', "freshness.column should be a string"),
        ("freshness", '{"column": "a", "secret": 1}',
         "freshness has an unknown field"),
        ("freshness", "7", "freshness should be an object"),
        # The names in `max_per` are input.
        ("max_per", '{"secret": 1.5}', "a value of max_per should be an integer"),
        ("exact", "1", "exact should be true or false"),
        ("min_score", "1e400", "min_score should be a finite number"),
        ("min_score", '"1"', "min_score should be a number"),
        ("cursor", f'"{"a" * 4097}"', "cursor should have at most 4096 characters"),
        ("secret", "1", "the body has an unknown field"),
        ("\\ud800", "1", "the body should be a string without lone surrogates"),
    ],
)  # fmt: skip
def test_a_sentence_names_the_field_and_what_it_should_be(
    client: TestClient, field: str, value: str, wrong: str
) -> None:
    given = {"user_id": "1", field: value}
    body = ", ".join(f'"{name}": {text}' for name, text in given.items())
    assert detail(client, "/recommend", f"{{{body}}}") == wrong


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("", "the body is missing"),
        ("[1]", "the body should be an object"),
        ("null", "the body should be an object"),
        ("{", "the body is not JSON"),
        ('{"skills": "\\t "}', "skills should have a character that is not a space"),
    ],
)
def test_a_sentence_says_what_is_wrong_with_the_body(
    client: TestClient, body: str, wrong: str
) -> None:
    assert detail(client, "/recommend", body) == wrong


# FastAPI gives a body's name to the schema that is built at the first request.
@pytest.mark.filterwarnings("ignore:The 'alias' attribute with value 'body'")
def test_a_sentence_names_the_event_of_several(client: TestClient) -> None:
    good = '{"user_id": 1, "job_id": 1, "event": "saved"}'
    for bad, wrong in [
        ('{"user_id": 1, "job_id": 1}', "events[1].event is missing"),
        (good.replace('1, "j', 'null, "j'),
         "events[1].user_id should be an integer or a string"),
        (good.replace("}", ', "undo": 0}'), "events[1].undo should be true or false"),
        ("[]", "events[1] should be an object"),
    ]:  # fmt: skip
        assert detail(client, "/events", f'{{"events": [{good}, {bad}]}}') == wrong


@pytest.mark.parametrize(
    "body",
    [
        '{"user_id": 1, "user_id": 2}',
        '{"user_id": 1, "top_n": 1, "top_n": 1}',
        '{"user_id": 1, "filters": {"town": "a", "town": "b"}}',
        '{"user_id": 1, "max_per": {"a": 1, "\\u0061": 2}}',
    ],
)
def test_a_field_that_occurs_twice_is_refused(client: TestClient, body: str) -> None:
    assert detail(client, "/recommend", body) == "the body has a field twice"


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/plain", "nonsense", None]
)
def test_a_body_of_another_type_is_refused_with_the_right_type(
    client: TestClient, kind: str | None
) -> None:
    headers = {"Content-Type": kind} if kind else {}
    response = client.post("/recommend", content=b'{"user_id": 1}', headers=headers)
    assert response.status_code == 422
    assert response.json()["detail"] == (
        "The request is not valid: the Content-Type of the body should be"
        " application/json, and the body JSON."
    )


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"skills": "caf\xe9"}', "it should be JSON in UTF-8, not compressed"),
        (b"\x1f\x8b\x08\x00\x00\x00", "it should be JSON in UTF-8, not compressed"),
        (b"[" * 30_000 + b"]" * 30_000, "it is nested too deeply"),
        (b'{"user_id": ' + b"9" * 5000 + b"}", "a number in it has too many digits"),
    ],
)
def test_a_body_that_cannot_be_parsed_says_why(
    client: TestClient, body: bytes, why: str
) -> None:
    response = client.post("/recommend", content=body, headers=JSON)
    assert response.status_code == 400
    assert response.json()["detail"] == f"The body cannot be parsed: {why}."


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("topn=2", "the URL has an unknown parameter; here it may have top_n"),
        ("TOP_N=2", "the URL has an unknown parameter; here it may have top_n"),
        ("top_n=1&top_n=2", "the URL has a parameter twice"),
        ("top_n=1&top%5Fn=1", "the URL has a parameter twice"),
        ("top_n=a", "top_n should be an integer"),
        (f"top_n={'9' * 5000}", "top_n should be an integer"),
    ],
)
def test_a_parameter_that_would_be_ignored_is_refused(
    client: TestClient, query: str, wrong: str
) -> None:
    response = client.get(f"/similar?{query}")
    assert response.status_code == 422
    assert response.json()["detail"] == f"The request is not valid: {wrong}."


def test_parameters_beside_a_body_are_refused(client: TestClient) -> None:
    response = client.post("/recommend?top_n=3", json={"user_id": 1})
    assert response.status_code == 422
    assert "here it may have none" in response.json()["detail"]


def test_an_unknown_path_or_method_says_what_to_do(client: TestClient) -> None:
    unknown, wrong = client.get("/recomend"), client.get("/recommend")
    assert (unknown.status_code, wrong.status_code) == (404, 405)
    assert unknown.json()["detail"].startswith("Not Found: this path does not exist")
    assert wrong.json()["detail"] == "Method Not Allowed: this path takes POST."
