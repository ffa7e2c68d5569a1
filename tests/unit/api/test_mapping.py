"""Mapping of requests to queries, and of results to responses."""

import time

import pytest

from app.api.mapping import (
    batch_queries,
    candidates_query,
    candidates_response,
    explaining_queries,
    recommend_query,
    recommend_response,
    server_timing,
    similar_query,
    similar_response,
)
from app.api.options import Defaults
from app.api.requests import BatchRequest, CandidatesRequest, RecommendRequest
from app.errors import InvalidInputError, UserNotFoundError
from app.query import cursor
from app.query.boosts import NO_BOOSTS, Boosts, current_hour
from app.query.constraints import (
    AnyOf,
    Constraints,
    CursorPosition,
    Range,
    Unexpired,
)
from app.query.ids import Id
from app.query.query import BatchKey, Query
from app.query.result import Explanation, Hit, Outcome, Pair, Result, Timings
from app.query.variety import NO_VARIETY, Variety
from app.ranking.registry import RANKINGS
from tests.support.queries import profile_query

DEFAULTS = Defaults("skills", ["location", "salary"], max_top_n=50, max_users=3)
TIMINGS = Timings(encode_ms=12.345, scan_ms=0.25)

WHY = Explanation(
    score=0.75,
    coverage=0.5,
    matched=[Pair("Python", "python 3", 0.9)],
    close=[Pair("nursing", "care", 0.6)],
    missing=("Welding",),
)


# --- from requests to queries ------------------------------------------------


def test_a_request_with_everything_becomes_a_query_with_everything() -> None:
    place = CursorPosition(0.5, 0.25, "7", b"state")
    asked = RecommendRequest.model_validate(
        {
            "skills": "python",
            "top_n": 7,
            "rank_by": "similarity",
            "exact": True,
            "filters": {"salary": {"gte": 1}, "location": "Berlin"},
            "min_score": 0.25,
            "exclude_job_ids": [1, "b", 1],
            "cursor": cursor.to_text(place, b"hash"),
        }
    )
    query = recommend_query(asked, DEFAULTS)
    assert query.key == BatchKey(
        "similarity",
        filters=(AnyOf("location", ("Berlin",)), Range("salary", (("gte", 1),))),
        exact=True,
    )
    assert (query.top_k, query.source_id, query.text) == (7, None, "python")
    assert query.constraints.exclude == {1, "b"}
    assert query.constraints.min_score == 0.25
    after = query.constraints.after
    assert after is not None
    assert (after.score, after.second, after.id) == (0.5, 0.25, "7")
    assert after.ranking_state == b"state"


def test_a_request_with_nothing_else_takes_the_defaults() -> None:
    asked = RecommendRequest.model_validate({"user_id": 42})
    assert recommend_query(asked, DEFAULTS) == Query(
        BatchKey("skills"), 10, 42, constraints=Constraints()
    )


@pytest.mark.parametrize("ranking", RANKINGS)
@pytest.mark.parametrize("given", [True, False, None])
def test_answers_are_distinct_as_asked_or_as_the_ranking_has_it(
    ranking: str, *, given: bool | None
) -> None:
    choice = {"rank_by": ranking, "distinct": given}
    profile = RecommendRequest.model_validate({"user_id": 1, **choice})
    batch = BatchRequest.model_validate({"user_ids": [1, 2], **choice})
    if given and not RANKINGS[ranking].explains:
        with pytest.raises(InvalidInputError, match="among skills, hybrid"):
            recommend_query(profile, DEFAULTS)
        return
    expected = RANKINGS[ranking].is_distinct if given is None else given
    queries = [recommend_query(profile, DEFAULTS), *batch_queries(batch, DEFAULTS)]
    assert {query.distinct for query in queries} == {expected}


@pytest.mark.parametrize(
    ("max_top_n", "expected"),
    [
        (50, 10),  # never the maximum
        (11, 10),
        (10, 10),
        (3, 3),  # a maximum below the default
    ],
)
def test_without_top_n_every_request_takes_ten_or_the_maximum_below(
    max_top_n: int, expected: int
) -> None:
    defaults = Defaults("similarity", [], max_top_n=max_top_n, max_users=3)
    profile = RecommendRequest.model_validate({"user_id": 1})
    batch = BatchRequest.model_validate({"user_ids": [1, 2]})
    job = CandidatesRequest.model_validate({"job_id": 1})
    assert recommend_query(profile, defaults).top_k == expected
    assert {query.top_k for query in batch_queries(batch, defaults)} == {expected}
    assert candidates_query(job, defaults).top_k == expected


@pytest.mark.parametrize(("top_n", "fits"), [(1, True), (50, True), (51, False)])
def test_top_n_is_taken_up_to_the_maximum(top_n: int, *, fits: bool) -> None:
    asked = RecommendRequest.model_validate({"user_id": 1, "top_n": top_n})
    if fits:
        assert recommend_query(asked, DEFAULTS).top_k == top_n
        return
    with pytest.raises(InvalidInputError) as raised:
        recommend_query(asked, DEFAULTS)
    assert str(raised.value) == (
        "The request is not valid: top_n should be less than or equal to 50."
    )


def test_a_filter_on_a_column_that_is_not_offered_is_refused() -> None:
    asked = RecommendRequest.model_validate({"user_id": 1, "filters": {"secret": 1}})
    with pytest.raises(InvalidInputError, match="the columns are location, salary"):
        recommend_query(asked, DEFAULTS)


def test_users_of_one_request_share_all_but_their_id() -> None:
    asked = BatchRequest.model_validate(
        {
            "user_ids": [3, "b", 3],
            "top_n": 2,
            "min_score": -0.5,
            "exact": True,
            "filters": {"location": None},
        }
    )
    key = BatchKey("skills", filters=(AnyOf("location", (None,)),), exact=True)
    constraints = Constraints(min_score=-0.5)
    assert batch_queries(asked, DEFAULTS) == [
        Query(key, 2, id_, constraints=constraints) for id_ in (3, "b", 3)
    ]


@pytest.mark.parametrize(("users", "fits"), [(3, True), (4, False)])
def test_users_of_one_request_are_taken_up_to_the_maximum(
    users: int, *, fits: bool
) -> None:
    asked = BatchRequest.model_validate({"user_ids": list(range(users))})
    if fits:
        assert len(batch_queries(asked, DEFAULTS)) == users
        return
    with pytest.raises(InvalidInputError) as raised:
        batch_queries(asked, DEFAULTS)
    assert str(raised.value) == (
        "The request is not valid: user_ids list should have at most 3 items."
    )


def test_similar_jobs_ignore_the_default_ranking() -> None:
    key = BatchKey("similarity", source="job", target="jobs")
    assert similar_query("a", 5, DEFAULTS) == Query(key, 5, "a")


@pytest.mark.parametrize("ranking", ["skills", "similarity"])
def test_candidates_are_users_for_a_job(ranking: str) -> None:
    asked = CandidatesRequest.model_validate(
        {"job_id": "x", "top_n": 4, "rank_by": ranking}
    )
    key = BatchKey(ranking, source="job", target="users")
    assert candidates_query(asked, DEFAULTS) == Query(key, 4, "x")


def test_only_queries_with_hits_are_explained_each_for_its_own() -> None:
    first = profile_query(
        5, text="a", exact=True, constraints=Constraints(min_score=0.5)
    )
    queries = [first, profile_query(5, user_id=2), profile_query(5, user_id=3)]
    outcomes: list[Outcome] = [
        result(Hit(8, "x", 0.9), Hit("7", "y", 0.8)),
        result(),
        UserNotFoundError("No user has this user_id."),
    ]
    asked = explaining_queries([*queries, first], [*outcomes, result(Hit(1, "z", 0.1))])
    key = BatchKey("skills", explain_only=True)
    assert asked == {
        0: Query(key, 5, text="a", only=(8, "7")),
        3: Query(key, 5, text="a", only=(1,)),
    }


# --- from results to responses -----------------------------------------------


def result(*hits: Hit) -> Result:
    return Result(
        hits,
        analyzed=321,
        timings=TIMINGS,
        pending=12,
        message="a remark",
        next_cursor="next",
    )


def test_a_response_has_each_hit_with_its_own_values() -> None:
    response = recommend_response(
        result(
            Hit(5, "python", 0.987654, columns={"location": "Berlin"}),
            Hit("b", None, -0.25),
        )
    )
    assert response.model_dump(mode="json") == {
        "success": True,
        "recommendations": [
            {
                "job_id": 5,
                "similarity_score": 0.987654,
                "skills": "python",
                "columns": {"location": "Berlin"},
            },
            {"job_id": "b", "similarity_score": -0.25, "skills": None},
        ],
        "total_jobs_analyzed": 321,
        "total_jobs_pending": 12,
        "detail": "a remark",
        "next_cursor": "next",
    }


def test_explanations_join_their_hits_and_leave_the_scores_alone() -> None:
    explained: dict[Id, Hit] = {
        5: Hit(5, "another text", 0.1, WHY, match_score=0.75),
        9: Hit(9, "", 0.2, WHY, match_score=0.75),
    }
    response = recommend_response(
        result(Hit(5, "python", 0.75), Hit(6, "java", 0.5)), explained=explained
    )
    first, second = response.model_dump(mode="json")["recommendations"]
    assert first == {
        "job_id": 5,
        "similarity_score": 0.75,
        "skills": "python",
        "match_score": 0.75,
        "coverage": 0.5,
        "matched": [{"skill": "Python", "job_skill": "python 3", "similarity": 0.9}],
        "close": [{"skill": "nursing", "job_skill": "care", "similarity": 0.6}],
        "missing": ["Welding"],
    }
    assert second == {"job_id": 6, "similarity_score": 0.5, "skills": "java"}


def test_a_hit_whose_skills_are_still_to_be_split_has_empty_reasons() -> None:
    hit = Hit(5, "python", None, columns={"a": 1})
    response = recommend_response(result(hit), explained={5: hit})
    assert response.model_dump(mode="json")["recommendations"] == [
        {
            "job_id": 5,
            "similarity_score": None,
            "skills": "python",
            "columns": {"a": 1},
            "match_score": None,
            "coverage": None,
            "matched": None,
            "close": None,
            "missing": None,
        }
    ]


def test_similar_jobs_have_their_own_scores() -> None:
    response = similar_response(
        result(Hit(1, "a", 0.75, columns={"salary": 3}), Hit(2, None, 0.125))
    )
    assert response.model_dump(mode="json") == {
        "success": True,
        "similar": [
            {
                "job_id": 1,
                "similarity_score": 0.75,
                "skills": "a",
                "columns": {"salary": 3},
            },
            {"job_id": 2, "similarity_score": 0.125, "skills": None},
        ],
        "total_jobs_analyzed": 321,
        "detail": "a remark",
    }


def test_f112_ids_of_repeats_survive_a_client_whose_numbers_are_doubles() -> None:
    hit = Hit(1, "a", 0.5, match_score=0.25, relevance="weak", repeats=(2**53, 3, "b"))
    response = recommend_response(result(hit), explained={1: hit})
    (job,) = response.model_dump(mode="json")["recommendations"]
    assert job["repeats"] == ["9007199254740992", 3, "b"]
    assert job["relevance"] == "weak"


def test_candidates_have_their_own_scores_and_reasons() -> None:
    response = candidates_response(
        result(Hit(1, "a", 0.75, WHY, match_score=0.75), Hit(2, None, None))
    )
    body = response.model_dump(mode="json")
    assert (body["total_users_analyzed"], body["detail"]) == (321, "a remark")
    first, second = body["candidates"]
    assert (first["user_id"], first["similarity_score"], first["skills"]) == (
        1,
        0.75,
        "a",
    )
    assert (first["match_score"], first["coverage"]) == (0.75, 0.5)
    assert first["missing"] == ["Welding"]
    assert (second["user_id"], second["similarity_score"]) == (2, None)
    assert second["match_score"] is None


# --- headers -----------------------------------------------------------------


def test_server_timing_is_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "perf_counter", lambda: 100.5)
    assert server_timing(TIMINGS, start=98.25) == (
        "encode;dur=12.3, scan;dur=0.2, total;dur=2250.0"
    )


BOOSTED = Defaults(
    "skills",
    ["posted", "priority", "closes"],
    max_top_n=50,
    max_users=3,
    boosts=Boosts("posted", 30.0, "priority"),
    expires="closes",
)


def key_of(defaults: Defaults = BOOSTED, **fields: object) -> BatchKey:
    asked = RecommendRequest.model_validate({"user_id": 1, **fields})
    return recommend_query(asked, defaults).key


def test_requests_have_the_boosts_of_the_settings_unless_they_say_otherwise() -> None:
    now = current_hour()
    key = key_of()
    assert key.boosts.hour in (now, now + 1)
    assert key.boosts == Boosts("posted", 30.0, "priority", key.boosts.hour)
    assert key.filters == (Unexpired("closes"),)
    assert key_of(freshness=None, boost=None, expires=None).boosts == Boosts(
        None, 30.0, None
    )
    other = key_of(freshness={"column": "closes", "half_life_days": 7.5}).boosts
    assert (other.freshness, other.half_life_days) == ("closes", 7.5)
    assert key_of(expires=None).filters == ()
    assert key_of(DEFAULTS).boosts == NO_BOOSTS


def test_a_later_page_counts_ages_as_the_first_one() -> None:
    position = CursorPosition(0.5, 0.0, 7, hour=123)
    text = cursor.to_text(position, b"")
    assert key_of(cursor=text).boosts.hour == 123
    assert key_of(cursor=text, freshness=None).boosts.hour == 0


def test_expiry_by_a_column_that_is_not_offered_is_refused() -> None:
    with pytest.raises(InvalidInputError) as raised:
        key_of(expires="secret")
    assert str(raised.value) == (
        "The request is not valid: expires names a column that JOB_COLUMNS does not"
        " name."
    )


def test_similar_jobs_have_not_expired() -> None:
    assert similar_query(1, 5, BOOSTED).key.filters == (Unexpired("closes"),)


VARIED = Defaults(
    "hybrid",
    ["company", "location"],
    max_top_n=200,
    max_users=3,
    variety=Variety((("company", 2),), 0.3),
)


def variety_of(defaults: Defaults = VARIED, **fields: object) -> Variety:
    asked = RecommendRequest.model_validate({"user_id": 1, **fields})
    batch = BatchRequest.model_validate({"user_ids": [1], **fields})
    found = recommend_query(asked, defaults).variety
    assert [query.variety for query in batch_queries(batch, defaults)] == [found]
    return found


def test_requests_have_the_variety_of_the_settings_unless_they_say_otherwise() -> None:
    assert variety_of() == VARIED.variety
    assert variety_of(DEFAULTS) == NO_VARIETY
    assert variety_of(max_per=None, diversity=None) == NO_VARIETY
    asked = {"location": 3, "company": 1}
    assert variety_of(max_per=asked, diversity=0) == Variety(
        (("company", 1), ("location", 3))
    )


def test_a_limit_of_a_column_that_is_not_offered_is_refused() -> None:
    with pytest.raises(InvalidInputError) as raised:
        variety_of(max_per={"secret": 1})
    assert str(raised.value) == (
        "The request is not valid: max_per names a column that JOB_COLUMNS does not"
        " name."
    )


def test_very_many_different_jobs_are_refused() -> None:
    assert variety_of(top_n=100).diversity == 0.3
    assert variety_of(top_n=200, diversity=0).diversity == 0
    with pytest.raises(InvalidInputError) as raised:
        variety_of(top_n=101)
    assert str(raised.value) == (
        "The request is not valid: with a diversity top_n should be less than or equal"
        " to 100."
    )
