"""From requests to queries, and from their results to responses."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from app.api.requests import (
    DEFAULT_TOP_N,
    BatchRequest,
    CandidatesRequest,
    Choice,
    RecommendRequest,
)
from app.api.responses import (
    Candidate,
    CandidatesResponse,
    ExplainedJob,
    MatchedSkill,
    Recommended,
    RecommendResponse,
    SimilarResponse,
)
from app.errors import InvalidInputError
from app.query import cursor
from app.query.constraints import Constraints
from app.query.filters import read_filters
from app.query.ids import Id
from app.query.query import BatchKey, Query
from app.query.result import Hit, Outcome, Pair, Result, Timings

NONE_EXPLAINED: Mapping[Id, Hit] = {}


@dataclass(frozen=True)
class Defaults:
    """What settings say where a request does not, and how far requests may go."""

    rank_by: str
    columns: Sequence[str]
    max_top_n: int
    max_users: int

    @property
    def top_n(self) -> int:
        return min(DEFAULT_TOP_N, self.max_top_n)


def recommend_query(asked: RecommendRequest, defaults: Defaults) -> Query:
    """The query of a request for one profile."""
    return Query(
        _batch_key(asked, defaults),
        _top_k(asked, defaults),
        asked.user_id,
        asked.skills,
        Constraints(
            exclude=frozenset(asked.exclude_job_ids),
            min_score=asked.min_score,
            after=None if asked.cursor is None else cursor.from_text(asked.cursor),
        ),
    )


def batch_queries(asked: BatchRequest, defaults: Defaults) -> list[Query]:
    """The queries of a request for several users."""
    if len(asked.user_ids) > defaults.max_users:
        raise InvalidInputError(
            "The request is not valid: user_ids list should have at most"
            f" {defaults.max_users} items."
        )
    key = _batch_key(asked, defaults)
    top_k = _top_k(asked, defaults)
    constraints = Constraints(min_score=asked.min_score)
    return [
        Query(key, top_k, user_id, constraints=constraints)
        for user_id in asked.user_ids
    ]


def similar_query(job_id: Id, top_n: int) -> Query:
    """The query for jobs like this one."""
    return Query(BatchKey("similarity", source="job"), top_n, job_id)


def candidates_query(asked: CandidatesRequest, defaults: Defaults) -> Query:
    """The query for users that fit a job."""
    key = BatchKey(asked.rank_by, source="job", target="users")
    return Query(key, _top_k(asked, defaults), asked.job_id)


def explaining_queries(
    queries: Sequence[Query], outcomes: Sequence[Outcome]
) -> dict[int, Query]:
    """The queries that explain these hits, by the number of the query."""
    return {
        n: replace(
            query,
            key=BatchKey("skills", explain_only=True),
            constraints=Constraints(),
            only=tuple(hit.id for hit in outcome.hits),
        )
        for n, (query, outcome) in enumerate(zip(queries, outcomes, strict=True))
        if isinstance(outcome, Result) and outcome.hits
    }


def recommend_response(
    result: Result, *, explained: Mapping[Id, Hit] = NONE_EXPLAINED
) -> RecommendResponse:
    """The response for one profile. `explained`: hits with their explanation, by id;
    the scores of the result stay untouched.
    """
    return RecommendResponse(
        recommendations=[
            _explained_job(_with_reasons(hit, explained[hit.id]))
            if hit.id in explained
            else _job(hit)
            for hit in result.hits
        ],
        total_jobs_analyzed=result.analyzed,
        total_jobs_pending=result.pending,
        detail=result.message,
        next_cursor=result.next_cursor,
    )


def similar_response(result: Result) -> SimilarResponse:
    """The response for jobs like a job."""
    return SimilarResponse(
        similar=[_job(hit) for hit in result.hits],
        total_jobs_analyzed=result.analyzed,
        detail=result.message,
    )


def candidates_response(result: Result) -> CandidatesResponse:
    """The response for users that fit a job."""
    return CandidatesResponse(
        candidates=[_candidate(hit) for hit in result.hits],
        total_users_analyzed=result.analyzed,
        detail=result.message,
    )


def _job(hit: Hit) -> Recommended:
    # A ranking without explanations has this score for each of its hits.
    assert hit.similarity_score is not None  # noqa: S101
    return Recommended(
        job_id=hit.id,
        similarity_score=hit.similarity_score,
        skills=hit.text,
        columns=hit.columns,
    )


def _explained_job(hit: Hit) -> ExplainedJob:
    return ExplainedJob(
        job_id=hit.id,
        similarity_score=hit.similarity_score,
        skills=hit.text,
        columns=hit.columns,
        **_explained(hit),
    )


def _candidate(hit: Hit) -> Candidate:
    return Candidate(
        user_id=hit.id,
        similarity_score=hit.similarity_score,
        skills=hit.text,
        **_explained(hit),
    )


def _with_reasons(hit: Hit, explained: Hit) -> Hit:
    return replace(
        hit, explanation=explained.explanation, match_score=explained.match_score
    )


def _explained(hit: Hit) -> Mapping[str, object]:
    why = hit.explanation
    if why is None:
        return {"match_score": hit.match_score}
    return {
        "match_score": hit.match_score,
        "coverage": why.coverage,
        "matched": [_pair(pair) for pair in why.matched],
        "close": [_pair(pair) for pair in why.close],
        "missing": list(why.missing),
    }


def _pair(pair: Pair) -> MatchedSkill:
    return MatchedSkill(
        skill=pair.skill, job_skill=pair.other, similarity=pair.similarity
    )


def _batch_key(asked: Choice, defaults: Defaults) -> BatchKey:
    return BatchKey(
        asked.rank_by or defaults.rank_by,
        filters=read_filters(asked.filters or {}, offered=defaults.columns),
        exact=asked.exact,
    )


def _top_k(asked: Choice | CandidatesRequest, defaults: Defaults) -> int:
    if "top_n" not in asked.model_fields_set:
        return defaults.top_n
    if asked.top_n > defaults.max_top_n:
        raise InvalidInputError(
            "The request is not valid: top_n should be less than or equal to"
            f" {defaults.max_top_n}."
        )
    return asked.top_n


def server_timing(timings: Timings, start: float) -> str:
    """The value of the header Server-Timing."""
    total_ms = (time.perf_counter() - start) * 1000
    return (
        f"encode;dur={timings.encode_ms:.1f}, scan;dur={timings.scan_ms:.1f},"
        f" total;dur={total_ms:.1f}"
    )
