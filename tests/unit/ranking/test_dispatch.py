"""The ranking of a batch, requests for an index, and errors."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from app.batching.batcher import BatchScope
from app.deadline import Deadline
from app.errors import UserNotFoundError
from app.query.constraints import Constraints
from app.query.query import BatchKey, Query
from app.query.result import Outcome, Result, Timings
from app.ranking import dispatch
from app.ranking.dispatch import Dispatcher, result_of, searches_index
from tests.support.queries import job_query, profile_query
from tests.support.ranking import SCOPE

DEADLINE = Deadline.after(60)
USER = profile_query(1, user_id=7)


def result_for(query: Query) -> Result:
    return Result((), query.top_k, Timings(0.0, 0.0))


@pytest.mark.parametrize(
    ("queries", "is_search"),
    [
        ([USER], True),
        ([profile_query(1, text="a")], True),
        ([job_query(1, 7)], True),
        ([USER, USER], False),  # they stay together, where batches are large
        ([profile_query(1, text="a", exact=True)], False),
        ([profile_query(1, text="a", ranking="skills")], False),
        ([job_query(1, 7, target="users")], False),
    ],
    ids=["user", "text", "similar", "several", "exact", "skills", "users"],
)
def test_what_an_index_answers_does_not_wait_behind_scans(
    queries: Sequence[Query], is_search: bool
) -> None:
    assert searches_index(queries) == is_search


class NamedRanking:
    """A ranking that returns its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[tuple[BatchKey, Sequence[Query], BatchScope]] = []

    def rank(
        self, key: BatchKey, queries: Sequence[Query], scope: BatchScope
    ) -> list[Outcome]:
        self.asked.append((key, queries, scope))
        return [replace(result_for(query), message=self.name) for query in queries]


def test_a_batch_goes_to_the_ranking_that_its_key_names() -> None:
    rankings = {name: NamedRanking(name) for name in ("similarity", "skills")}
    dispatcher = Dispatcher(rankings)
    for name, other in (("similarity", "skills"), ("skills", "similarity")):
        asked = [profile_query(1, text="a", ranking=name), profile_query(2, text="b")]
        outcomes = dispatcher.run(asked, SCOPE)
        assert [result_of(each).message for each in outcomes] == [name, name]
        assert rankings[name].asked == [(asked[0].key, asked, SCOPE)]
        assert len(rankings[other].asked) <= 1


class ForgetfulRanking(NamedRanking):
    """A ranking that knows nothing of users with odd ids."""

    def rank(
        self, key: BatchKey, queries: Sequence[Query], scope: BatchScope
    ) -> list[Outcome]:
        super().rank(key, queries, scope)
        return [
            UserNotFoundError("No user has this user_id.")
            if query.source_id == 0
            else replace(
                result_for(query),
                message=self.name,
                lacks_profile=query.source_id is None or int(query.source_id) % 2 == 1,
            )
            for query in queries
        ]


def test_users_of_whom_nothing_is_known_get_the_result_of_the_fallback() -> None:
    fallback = NamedRanking("popular")
    dispatcher = Dispatcher(
        {"similarity": ForgetfulRanking("similarity")}, fallback=fallback
    )
    queries = [
        profile_query(1, user_id=1),
        profile_query(1, user_id=2),
        profile_query(1, user_id=0),
        profile_query(1, text="!"),
        profile_query(1, user_id=3, constraints=Constraints(min_score=0.1)),
        profile_query(1, user_id=5),
    ]
    outcomes = dispatcher.run(queries, SCOPE)
    assert isinstance(outcomes[2], UserNotFoundError)
    messages = [each.message for each in outcomes if isinstance(each, Result)]
    assert messages == ["popular", "similarity", "similarity", "similarity", "popular"]
    assert fallback.asked == [(queries[0].key, [queries[0], queries[5]], SCOPE)]


def test_without_a_fallback_they_get_no_jobs() -> None:
    dispatcher = Dispatcher({"similarity": ForgetfulRanking("similarity")})
    (outcome,) = dispatcher.run([profile_query(1, user_id=1)], SCOPE)
    assert result_of(outcome).message == "similarity"


def test_one_query_gives_its_result_or_raises_its_error() -> None:
    class Queue:
        waiting = 2
        closed = False

        async def ask_all(
            self, queries: Sequence[Query], deadline: Deadline
        ) -> list[Outcome]:
            assert deadline == DEADLINE
            known = [query for query in queries if query.source_id is None]
            if not known:
                return [UserNotFoundError("No user has this user_id.")]
            return [result_for(query) for query in known]

        def close(self) -> None:
            self.closed = True

    queue = Queue()
    found = asyncio.run(dispatch.ask(queue, profile_query(3, text="a"), DEADLINE))
    assert found == result_for(profile_query(3, text="a"))
    with pytest.raises(UserNotFoundError, match="No user has this"):
        asyncio.run(dispatch.ask(queue, profile_query(3, user_id=9), DEADLINE))
