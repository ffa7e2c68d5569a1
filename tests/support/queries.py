"""Short constructors of queries and results."""

from collections.abc import Sequence
from typing import Any

from app.query.constraints import NO_CONSTRAINTS, Condition, Constraints
from app.query.ids import Id
from app.query.query import BatchKey, Query
from app.query.result import Outcome, Result
from app.query.variety import NO_VARIETY, Variety


def profile_query(
    top_k: int = 10,
    *,
    user_id: Id | None = None,
    text: str | None = None,
    ranking: str = "similarity",
    constraints: Constraints = NO_CONSTRAINTS,
    filters: tuple[Condition, ...] = (),
    only: Sequence[Id] = (),
    distinct: bool = False,
    variety: Variety = NO_VARIETY,
    **key: Any,
) -> Query:
    """Jobs for a user or a text; `key`: more fields of the `BatchKey`."""
    batch_key = BatchKey(ranking, filters=filters, explain_only=bool(only), **key)
    return Query(batch_key, top_k, user_id, text, constraints, only, distinct, variety)


def job_query(
    top_k: int, job_id: Id, *, ranking: str = "similarity", **key: Any
) -> Query:
    """Jobs similar to a job; `target="users"`: users for it."""
    return Query(BatchKey(ranking, source="job", **key), top_k, job_id)


def results(outcomes: Sequence[Outcome]) -> list[Result]:
    """The results. Raises an error among the outcomes."""
    found = []
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
        assert isinstance(outcome, Result)
        found.append(outcome)
    return found
