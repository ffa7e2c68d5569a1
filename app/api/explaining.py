"""Answer requests: rank through the queue, then explain the hits if requested."""

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
    """A response or an error per query, and the timings. All queries share one key."""
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
    """The outcomes and their explanations by position.

    A failure to explain leaves the outcomes valid: each gets a message instead.
    """
    to_explain = explaining_queries(queries, outcomes)
    if not to_explain:
        return outcomes, {}
    try:
        explained = await queue.ask_all(list(to_explain.values()), deadline)
    except AppError as error:
        log.warning("answered without explanations: %s", error)
        message = f"The explanations are missing. {error}"
        return [_with_message(outcome, message) for outcome in outcomes], {}
    return outcomes, dict(zip(to_explain, explained, strict=True))


def _with_message(outcome: Outcome, message: str) -> Outcome:
    if isinstance(outcome, Result):
        return replace(outcome, message=outcome.message or message)
    return outcome


def _by_id(outcome: Outcome | None) -> Mapping[Id, Hit]:
    hits = outcome.hits if isinstance(outcome, Result) else ()
    return {hit.id: hit for hit in hits}


def _error(outcome: Outcome) -> AppError:
    assert isinstance(outcome, AppError)  # noqa: S101
    return outcome
