"""Answer requests: rank through the queue, then explain the hits if requested."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from app.api.interleaving import interleaved
from app.api.mapping import explaining_queries, recommend_response
from app.api.responses import RecommendResponse
from app.deadline import Deadline
from app.errors import AppError
from app.query.exposure import Exposure
from app.query.ids import Id
from app.query.query import Query
from app.query.result import Hit, Outcome, Result, Timings
from app.ranking.dispatch import QueryQueue
from app.ranking.interleaving import Draft
from app.ranking.registry import RANKINGS

log = logging.getLogger("app.request")

RecommendAnswer = RecommendResponse | AppError


@dataclass(frozen=True)
class AnsweredQueries:
    """A response or an error per query, and what they showed to whom."""

    answers: Sequence[RecommendAnswer]
    timings: Timings
    exposures: Sequence[Exposure]


async def recommend(
    queue: QueryQueue,
    queries: Sequence[Query],
    deadline: Deadline,
    *,
    explain: bool,
    drafts: Sequence[Draft] = (),
    label: str | None = None,
) -> AnsweredQueries:
    """Answer queries that share one key. `drafts`: how to interleave them, if they are
    interleaved; `label`: what is compared then.
    """
    outcomes: Sequence[Outcome]
    teams: Sequence[str] = ()
    if drafts:
        outcomes, teams = await interleaved(queue, drafts, deadline)
    else:
        outcomes = await queue.ask_all(queries, deadline)
    is_plain = any(draft.compares_rankings for draft in drafts)
    if RANKINGS[queries[0].key.ranking].explains and not is_plain:
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
    return AnsweredQueries(
        answers,
        timings[0] if timings else Timings(0.0, 0.0),
        list(_exposures(queries, outcomes, teams, label)),
    )


def _exposures(
    queries: Sequence[Query],
    outcomes: Sequence[Outcome],
    teams: Sequence[str],
    label: str | None,
) -> Iterator[Exposure]:
    """The answers to users that have jobs."""
    for n, (query, outcome) in enumerate(zip(queries, outcomes, strict=True)):
        if query.source_id is None or not isinstance(outcome, Result):
            continue
        if outcome.hits:
            yield Exposure(
                query.source_id,
                [hit.id for hit in outcome.hits],
                is_first_page=query.constraints.after is None,
                shown_at=time.monotonic(),
                compared=label if teams else None,
                teams=teams[n] if teams else None,
            )


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
