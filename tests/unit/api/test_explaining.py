"""Explanations: when they are queried, and responses without them."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from app.api.explaining import RecommendAnswer, recommend
from app.api.responses import RecommendResponse
from app.deadline import Deadline
from app.errors import DatabaseUnavailableError, UserNotFoundError
from app.query.query import BatchKey, Query
from app.query.result import Explanation, Hit, Outcome, Result, Timings
from tests.support.queries import profile_query

TIMINGS = Timings(1.5, 2.5)
OTHER_TIMINGS = Timings(70.0, 80.0)
UNKNOWN = UserNotFoundError("No user has this user_id.")
AWAY = DatabaseUnavailableError("The database is away.")
DEADLINE = Deadline(at=float("inf"))


class Queue:
    """Answers with a function of the query, and records the queries."""

    waiting = 0

    def __init__(self, answer: Callable[[Query], Outcome]) -> None:
        self._answer = answer
        self.asked: list[Sequence[Query]] = []

    async def ask_all(
        self, queries: Sequence[Query], deadline: Deadline
    ) -> Sequence[Outcome]:
        assert deadline is DEADLINE
        self.asked.append(queries)
        return [self._answer(query) for query in queries]

    def close(self) -> None:
        pass


def why(score: float) -> Explanation:
    return Explanation(score, 0.5, missing=("Welding",))


def ranked(query: Query) -> Outcome:
    """Users 1 and 2 have two jobs each; the skills of job 21 are pending."""
    if query.source_id == "unknown":
        return UNKNOWN
    if query.key.explain_only:
        return Result(
            [
                Hit(id_, "by skills", 0.25)
                if id_ == 21
                else Hit(id_, "by skills", 0.25, why(0.5), match_score=0.5)
                for id_ in query.only
            ],
            0,
            OTHER_TIMINGS,
        )
    if query.source_id == "empty":
        return Result((), 0, TIMINGS, message="This user has no skills to match.")
    assert isinstance(query.source_id, int)
    first = 10 * query.source_id
    told = (why(0.75), None, 0.75) if query.key.ranking == "skills" else ()
    hits = [Hit(first, "x", 0.9, *told), Hit(first + 1, "y", 0.8, *told)]
    return Result(hits, 100, TIMINGS)


def ask(
    queue: Queue, *users: int | str, ranking: str = "similarity", explain: bool
) -> list[RecommendAnswer]:
    queries = [profile_query(2, user_id=user, ranking=ranking) for user in users]
    found = asyncio.run(recommend(queue, queries, DEADLINE, explain=explain))
    assert found.timings == TIMINGS
    return list(found.answers)


def reasons(answer: RecommendAnswer) -> list[tuple[object, object, object]]:
    assert isinstance(answer, RecommendResponse)
    jobs = answer.model_dump(mode="json")["recommendations"]
    return [
        (job["job_id"], job["similarity_score"], job.get("match_score", "none"))
        for job in jobs
    ]


def test_without_explain_no_explanations_are_queried() -> None:
    queue = Queue(ranked)
    (answer,) = ask(queue, 1, explain=False)
    assert reasons(answer) == [(10, 0.9, "none"), (11, 0.8, "none")]
    assert len(queue.asked) == 1


@pytest.mark.parametrize("explain", [True, False])
def test_a_ranking_with_explanations_is_not_queried_again(*, explain: bool) -> None:
    queue = Queue(ranked)
    (answer,) = ask(queue, 1, ranking="skills", explain=explain)
    assert reasons(answer) == [(10, 0.9, 0.75), (11, 0.8, 0.75)]
    assert len(queue.asked) == 1


def test_reasons_go_to_the_jobs_that_they_are_of() -> None:
    queue = Queue(ranked)
    answers = ask(queue, "unknown", 2, "empty", 1, explain=True)
    assert answers[0] is UNKNOWN
    # The score stays that of the ranking; without reasons the fields are null.
    assert reasons(answers[1]) == [(20, 0.9, 0.5), (21, 0.8, None)]
    assert reasons(answers[2]) == []
    assert reasons(answers[3]) == [(10, 0.9, 0.5), (11, 0.8, 0.5)]
    _, explaining = queue.asked
    assert [query.only for query in explaining] == [(20, 21), (10, 11)]
    assert {query.key for query in explaining} == {
        BatchKey("skills", explain_only=True)
    }


def test_without_hits_no_explanations_are_queried() -> None:
    queue = Queue(ranked)
    ask(queue, "empty", explain=True)
    assert len(queue.asked) == 1


def test_an_answer_stands_without_reasons_where_these_fail_together(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(Queue):
        async def ask_all(
            self, queries: Sequence[Query], deadline: Deadline
        ) -> Sequence[Outcome]:
            if queries[0].key.explain_only:
                raise AWAY
            return await super().ask_all(queries, deadline)

    answers = ask(Failing(ranked), 1, "unknown", "empty", explain=True)
    assert reasons(answers[0]) == [(10, 0.9, "none"), (11, 0.8, "none")]
    assert isinstance(answers[0], RecommendResponse)
    assert answers[0].detail == ("The explanations are missing. The database is away.")
    assert caplog.messages == ["answered without explanations: The database is away."]
    assert answers[1] is UNKNOWN
    # The detail of the ranking is kept.
    assert isinstance(answers[2], RecommendResponse)
    assert answers[2].detail == "This user has no skills to match."


def test_an_answer_stands_without_reasons_where_these_fail_alone() -> None:
    def one_fails(query: Query) -> Outcome:
        return AWAY if query.only == (10, 11) else ranked(query)

    answers = ask(Queue(one_fails), 1, 2, explain=True)
    assert reasons(answers[0]) == [(10, 0.9, "none"), (11, 0.8, "none")]
    assert reasons(answers[1]) == [(20, 0.9, 0.5), (21, 0.8, None)]


def test_a_batch_of_errors_took_no_time() -> None:
    queries = [profile_query(2, user_id="unknown")]
    found = asyncio.run(recommend(Queue(ranked), queries, DEADLINE, explain=True))
    assert found.answers == [UNKNOWN]
    assert found.timings == Timings(0.0, 0.0)
    assert found.exposures == []


def test_what_users_were_shown_is_told_and_what_a_text_got_is_not() -> None:
    queries = [
        *(profile_query(2, user_id=user) for user in (1, "unknown", "empty", 2)),
        profile_query(2, text="python"),
    ]

    def answer(query: Query) -> Outcome:
        return Result((), 0, TIMINGS) if query.text else ranked(query)

    found = asyncio.run(recommend(Queue(answer), queries, DEADLINE, explain=False))
    assert [
        (shown.user_id, shown.job_ids, shown.is_first_page, shown.compared, shown.teams)
        for shown in found.exposures
    ] == [(1, [10, 11], True, None, None), (2, [20, 21], True, None, None)]
