"""The documented limits of texts and ids."""

import json
import uuid
from collections.abc import Iterator

import pytest

from app.api.requests import MAX_EXCLUDED
from tests.faults.conftest import wait_for_answer
from tests.support.postgres import Server, fresh_database
from tests.support.rows import add_job, add_user
from tests.support.service import Service, running_service

# As in docs/limits.md and the OpenAPI document.
TEXT_CHARS = 5_000
ID_LETTERS = 60


@pytest.fixture(scope="module")
def service(
    postgres: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    with fresh_database(postgres) as url:
        add_job(url, 1, "cooking")
        add_user(url, 1, "cooking")
        log_file = tmp_path_factory.mktemp("limits") / "log"
        with running_service(url, log_file) as running:
            wait_for_answer(running)
            yield running


@pytest.mark.parametrize("escaped", [True, False], ids=["as ASCII", "as UTF-8"])
@pytest.mark.parametrize(
    "letter",
    ["x", "ж", "ん", "\U0001d50a", "\u0085", "\\", '"', "\U0001f469\u200d\U0001f52c"],
)
def test_f127_a_text_of_the_documented_length_fits_in_any_script(
    service: Service, letter: str, escaped: bool
) -> None:
    text = ("cooking " + letter * TEXT_CHARS)[:TEXT_CHARS]
    for body in ({"skills": text}, {"skills": text, "rank_by": "skills"}):
        content = json.dumps(body, ensure_ascii=escaped).encode()
        response = service.client.post(
            "/api/recommend",
            content=content,
            headers={"Content-Type": "application/json"},
        )
        assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    "ids",
    [
        pytest.param([2**63 - 1 - n for n in range(MAX_EXCLUDED)], id="integers"),
        pytest.param([str(uuid.UUID(int=n)) for n in range(MAX_EXCLUDED)], id="uuids"),
        pytest.param([f"{n:0{ID_LETTERS}}" for n in range(MAX_EXCLUDED)], id="letters"),
    ],
)
def test_f127_as_many_ids_as_documented_fit(service: Service, ids: object) -> None:
    found = service.recommend(user_id=1, exclude_job_ids=ids)
    assert found.status_code == 200, found.text
    assert service.recommend(user_id=1, exclude_job_ids=[*ids, 1]).status_code == 422  # type: ignore[misc]  # a list each


def test_f127_the_document_promises_no_more_than_fits(service: Service) -> None:
    schemas = service.client.get("/openapi.json").json()["components"]["schemas"]
    asked = schemas["RecommendRequest"]["properties"]
    assert asked["exclude_job_ids"]["maxItems"] == MAX_EXCLUDED
    assert f"{ID_LETTERS} letters" in asked["exclude_job_ids"]["description"]
    assert f"{TEXT_CHARS:,} characters" in asked["skills"]["description"]
    # A length of their own would promise more than the body's limit, or less.
    assert "maxLength" not in json.dumps([asked["skills"], asked["exclude_job_ids"]])
