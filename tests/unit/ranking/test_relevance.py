"""What a score is worth, and what an answer says where nothing in it is worth much."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.query.constraints import Constraints, CursorPosition
from app.query.query import BatchKey, Query
from app.query.result import Hit, Outcome, Result, Thresholds, Timings
from app.ranking.dispatch import Dispatcher
from app.ranking.registry import RANKINGS
from app.ranking.relevance import (
    NO_OTHER_JOB,
    NOTHING_IN_COMMON,
    ONLY_WEAK,
    with_reason,
    with_relevance,
)
from tests.support.queries import job_query, profile_query
from tests.support.ranking import SCOPE

THRESHOLDS = Thresholds(possible=0.2, strong=0.5)
QUERY = profile_query(9, text="cooking", ranking="hybrid")


def result(*scores: float | None, analyzed: int = 7) -> Result:
    hits = [Hit(n, "x", 0.5, match_score=score) for n, score in enumerate(scores)]
    return Result(hits, analyzed, Timings(0.0, 0.0))


def test_a_hit_is_as_relevant_as_its_score_says() -> None:
    found = with_relevance(result(0.7, 0.5, 0.499999, 0.2, 0.1), QUERY, THRESHOLDS)
    assert [hit.relevance for hit in found.hits] == [
        "strong",
        "strong",
        "possible",
        "possible",
        "weak",
    ]
    assert found.message is None


def test_an_answer_with_nothing_but_weak_hits_says_so() -> None:
    assert with_relevance(result(0.1, 0.01), QUERY, THRESHOLDS).message == ONLY_WEAK
    known = replace(result(0.1), message="said before")
    assert with_relevance(known, QUERY, THRESHOLDS).message == "said before"


@pytest.mark.parametrize(
    "constraints",
    [
        Constraints(min_score=0.5),
        Constraints(exclude=frozenset({1})),
        Constraints(after=CursorPosition(0.5, 0.0, 1)),
    ],
)
def test_an_answer_without_hits_says_why_unless_the_query_left_them_out(
    constraints: Constraints,
) -> None:
    assert with_relevance(result(), QUERY, THRESHOLDS).message == NOTHING_IN_COMMON
    narrow = replace(QUERY, constraints=constraints)
    assert with_relevance(result(), narrow, THRESHOLDS).message is None
    # No job matches the filters, or there is none yet.
    assert with_relevance(result(analyzed=0), QUERY, THRESHOLDS).message is None


class Fixed:
    """Gives each query the same result."""

    def rank(
        self, key: BatchKey, queries: Sequence[Query], scope: object
    ) -> Sequence[Outcome]:
        assert all(query.key == key for query in queries)
        assert scope is SCOPE
        return [result(0.01) for _ in queries]


@pytest.mark.parametrize(
    ("query", "relevance"),
    [
        (QUERY, "weak"),
        (profile_query(9, text="cooking", ranking="skills"), "weak"),
        (profile_query(9, text="cooking"), None),
        (profile_query(9, text="cooking", ranking="skills", only=(1,)), None),
        (job_query(9, 1, ranking="hybrid", target="users"), None),
    ],
)
def test_jobs_for_a_profile_are_rated_where_the_ranking_has_thresholds(
    query: Query, relevance: str | None
) -> None:
    dispatcher = Dispatcher({name: Fixed() for name in RANKINGS})
    (outcome,) = dispatcher.run([query], SCOPE)
    assert isinstance(outcome, Result)
    assert [hit.relevance for hit in outcome.hits] == [relevance]
    assert outcome.message == (None if relevance is None else ONLY_WEAK)


def test_thresholds_stand_in_their_order() -> None:
    rated = [e.thresholds for e in RANKINGS.values() if e.thresholds is not None]
    assert rated
    assert all(0 < each.possible < each.strong < 1 for each in rated)


def test_an_answer_that_only_feedback_left_empty_says_so() -> None:
    empty = replace(result(), left_out=3)
    explained = with_reason(empty, QUERY)
    assert explained.message == NO_OTHER_JOB
    assert with_relevance(explained, QUERY, THRESHOLDS) == explained
    filtered = replace(QUERY, constraints=Constraints(min_score=0.5))
    for found, query in (
        (empty, filtered),
        (result(), QUERY),
        (replace(result(0.3), left_out=3), QUERY),
        (replace(empty, message="said before"), QUERY),
    ):
        assert with_reason(found, query) == found


@pytest.mark.parametrize("liked", [0, 1, 2, 3, 20])
def test_liked_jobs_raise_what_a_label_needs(liked: int) -> None:
    factor = 1 + 0.4 * liked / (liked + 1)
    scores = [each * factor + off for each in (0.5, 0.2) for off in (1e-9, -1e-9)]
    found = with_relevance(
        replace(result(*scores), liked=liked), QUERY, THRESHOLDS, rise=0.4
    )
    labels = [hit.relevance for hit in found.hits]
    assert labels == ["strong", "possible", "possible", "weak"]
    # Also those of another model.
    other = replace(
        result(*scores), liked=liked, thresholds=Thresholds(possible=0, strong=0.1)
    )
    found = with_relevance(other, QUERY, THRESHOLDS, rise=0.4)
    assert {hit.relevance for hit in found.hits} == {"strong"}


@given(
    liked=st.integers(0, 20),
    rise=st.floats(0, 2),
    scores=st.lists(st.floats(0, 1), max_size=9),
    boost=st.floats(0.1, 10) | st.none(),
)
def test_labels_follow_the_order_and_boosts_do_not_change_them(
    liked: int, rise: float, scores: list[float], boost: float | None
) -> None:
    ordered = sorted(scores, reverse=True)
    hits = [
        Hit(n, "x", 0.5, match_score=score * (boost or 1), factor=boost)
        for n, score in enumerate(ordered)
    ]
    given_ = replace(result(), hits=hits, liked=liked)
    labels = [
        hit.relevance
        for hit in with_relevance(given_, QUERY, THRESHOLDS, rise=rise).hits
    ]
    assert labels == sorted(labels, key=["strong", "possible", "weak"].index)  # type: ignore[arg-type]
    without = with_relevance(replace(given_, liked=0), QUERY, THRESHOLDS, rise=rise)
    order = ["weak", "possible", "strong"]
    for hit, label in zip(without.hits, labels, strict=True):
        assert order.index(str(hit.relevance)) >= order.index(str(label))


def test_without_thresholds_a_result_stays_as_it_is() -> None:
    assert with_relevance(result(0.7), QUERY, None) == result(0.7)
    assert with_relevance(result(), QUERY, None).message is None
