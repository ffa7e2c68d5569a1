"""Request bodies: accepted and rejected values, and their parsed form."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from app.api.requests import BatchRequest, CandidatesRequest, RecommendRequest
from app.ranking.registry import RANKINGS


def refused(kind: type[BaseModel], **body: Any) -> tuple[tuple[Any, ...], str]:
    """The location and reason of the only error."""
    with pytest.raises(ValidationError) as raised:
        kind.model_validate(body)
    (fault,) = raised.value.errors()
    return fault["loc"], fault["msg"]


def test_a_user_or_a_text_is_enough() -> None:
    asked = RecommendRequest.model_validate({"user_id": 42})
    assert asked.model_dump() == {
        "top_n": 10,
        "rank_by": None,
        "exact": False,
        "explain": False,
        "distinct": None,
        "filters": None,
        "min_score": None,
        "freshness": None,
        "boost": None,
        "expires": None,
        "max_per": None,
        "diversity": None,
        "user_id": 42,
        "skills": None,
        "exclude_job_ids": [],
        "cursor": None,
    }
    assert RecommendRequest.model_validate({"skills": " a "}).skills == " a "


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (41.0, 41),
        (-0.0, 0),
        (2.0**53, 2**53),
        (-(2.0**53), -(2**53)),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        ("41", "41"),
    ],
)
def test_an_id_is_an_integer_or_a_text(given: object, read: object) -> None:
    asked = RecommendRequest.model_validate({"user_id": given})
    assert asked.user_id == read
    assert type(asked.user_id) is type(read)
    body = {"skills": "a", "exclude_job_ids": [given]}
    assert RecommendRequest.model_validate(body).exclude_job_ids == [read]
    assert BatchRequest.model_validate({"user_ids": [given]}).user_ids == [read]
    assert CandidatesRequest.model_validate({"job_id": given}).job_id == read


@pytest.mark.parametrize(
    "given", [41.5, True, 2**63, -(2**63) - 1, 2.0**53 + 2, "", [1], 1e300]
)
def test_what_is_neither_is_no_id(given: object) -> None:
    with pytest.raises(ValidationError):
        RecommendRequest.model_validate({"user_id": given})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user_id": 1, "skills": "a"},
        {"user_id": None},
        {"skills": None},
        {"user_id": 1, "skills": None},
    ],
)
def test_exactly_one_of_both_is_asked_about(body: dict[str, object]) -> None:
    where, reason = refused(RecommendRequest, **body)
    assert where == ()
    assert reason == "Value error, exactly one of user_id and skills must be given"


def test_top_n_is_a_whole_number_from_one() -> None:
    for value in (1, 1.0, 100):
        asked = RecommendRequest.model_validate({"user_id": 1, "top_n": value})
        assert asked.top_n == value
        assert type(asked.top_n) is int
    refused_values: list[object] = [0, 0.0, 1.5, "5", True, None]
    for other in refused_values:
        assert refused(RecommendRequest, user_id=1, top_n=other)[0] == ("top_n",)
        assert refused(CandidatesRequest, job_id=1, top_n=other)[0] == ("top_n",)
    assert CandidatesRequest.model_validate({"job_id": 1}).top_n == 10


def test_a_ranking_is_one_of_the_list() -> None:
    for name in RANKINGS:
        body = {"user_id": 1, "rank_by": name}
        assert RecommendRequest.model_validate(body).rank_by == name
        body = {"job_id": 1, "rank_by": name}
        assert CandidatesRequest.model_validate(body).rank_by == name
    reason = f"Value error, should be one of {', '.join(RANKINGS)}"
    for name in ("", "Skills", "random"):
        found = refused(RecommendRequest, user_id=1, rank_by=name)
        assert found == (("rank_by",), reason)


@pytest.mark.parametrize(
    "body",
    [
        {"skills": " \n"},
        {"skills": ""},
        {"user_id": 1, "colour": "red"},
        {"user_id": 1, "exclude_job_ids": list(range(1001))},
        {"user_id": 1, "cursor": "a" * 4097},
        {"user_id": 1, "min_score": float("nan")},
        {"user_id": 1, "min_score": "0.5"},
        {"user_id": 1, "exact": 1},
        {"user_id": 1, "filters": []},
    ],
)
def test_anything_else_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RecommendRequest.model_validate(body)


def test_the_document_says_that_one_of_both_is_needed_and_none_is_null() -> None:
    schema = RecommendRequest.model_json_schema()
    assert schema["oneOf"] == [{"required": ["user_id"]}, {"required": ["skills"]}]
    for name in ("user_id", "skills"):
        field = schema["properties"][name]
        assert "default" not in field
        assert {"type": "null"} not in field.get("anyOf", [])
    assert schema["properties"]["skills"]["type"] == "string"
    kinds = [kind["type"] for kind in schema["properties"]["user_id"]["anyOf"]]
    assert kinds == ["integer", "string"]
    ranked = schema["properties"]["rank_by"]["anyOf"][0]
    assert ranked["enum"] == list(RANKINGS)
