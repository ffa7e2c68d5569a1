"""Asks the queue, and for explanations where the ranking itself gives none."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from app.api.mapping import explaining_queries, recommend_response
from app.api.responses import RecommendResponse
from app.deadline import Deadline
from app.errors import AppError
from app.query.ids import Id
from app.query.query import Query
from app.query.result import Hit, Outcome, Result, Timings
from app.ranking.dispatch import QueryQueue
from app.ranking.registry import RANKINGS

log = logging.getLogger("app.request")

RecommendAnswer = RecommendResponse | AppError


async def recommend(
    queue: QueryQueue, queries: Sequence[Query], deadline: Deadline, *, explain: bool
) -> tuple[list[RecommendAnswer], Timings]:
    """A response, or the error that is its own, for each query; all have one key."""
    outcomes = await queue.ask_all(queries, deadline)
    if RANKINGS[queries[0].key.ranking].explains:
        explained = dict(enumerate(outcomes))
    elif explain:
        outcomes, explained = await _explain(queue, queries, outcomes, deadline)
    else:
        explained = {}
    answers = [
        recommend_response(outcome, explained=_by_id(explained.get(n)))
        if isinstance(outcome, Result)
        else _error(outcome)
        for n, outcome in enumerate(outcomes)
    ]
    timings = [each.timings for each in outcomes if isinstance(each, Result)]
    return answers, timings[0] if timings else Timings(0.0, 0.0)


async def _explain(
    queue: QueryQueue,
    queries: Sequence[Query],
    outcomes: Sequence[Outcome],
    deadline: Deadline,
) -> tuple[Sequence[Outcome], dict[int, Outcome]]:
    """The outcomes, which are whole without explanations, and these."""
    asked = explaining_queries(queries, outcomes)
    if not asked:
        return outcomes, {}
    try:
        found = await queue.ask_all(list(asked.values()), deadline)
    except AppError as error:
        log.warning("answered without reasons: %s", error)
        remark = f"The reasons could not be given. {error}"
        return [_with_message(outcome, remark) for outcome in outcomes], {}
    return outcomes, dict(zip(asked, found, strict=True))


def _with_message(outcome: Outcome, remark: str) -> Outcome:
    if isinstance(outcome, Result):
        return replace(outcome, message=outcome.message or remark)
    return outcome


def _by_id(outcome: Outcome | None) -> Mapping[Id, Hit]:
    hits = outcome.hits if isinstance(outcome, Result) else ()
    return {hit.id: hit for hit in hits}


def _error(outcome: Outcome) -> AppError:
    assert isinstance(outcome, AppError)  # noqa: S101
    return outcome
