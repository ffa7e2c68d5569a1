"""Map requests to queries, and results to responses."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from app.api.options import (
    Defaults,
    batch_key,
    is_distinct,
    top_k_of,
    unexpired,
    variety_of,
)
from app.api.requests import BatchRequest, CandidatesRequest, RecommendRequest
from app.api.responses import (
    Candidate,
    CandidatesResponse,
    ExplainedJob,
    MatchedSkill,
    Recommended,
    RecommendResponse,
    ScoreParts,
    SimilarResponse,
)
from app.errors import InvalidInputError
from app.query import cursor
from app.query.constraints import Constraints
from app.query.ids import Id
from app.query.query import BatchKey, Query
from app.query.result import Hit, Outcome, Pair, Result, Timings

NONE_EXPLAINED: Mapping[Id, Hit] = {}


def recommend_query(body: RecommendRequest, defaults: Defaults) -> Query:
    """The query of a request for one profile."""
    after = None if body.cursor is None else cursor.from_text(body.cursor)
    key = batch_key(body, defaults, after)
    return Query(
        key,
        top_k_of(body, defaults),
        body.user_id,
        body.skills,
        Constraints(
            exclude=frozenset(body.exclude_job_ids),
            min_score=body.min_score,
            after=after,
        ),
        distinct=is_distinct(body, key),
        variety=variety_of(body, defaults),
    )


def batch_queries(body: BatchRequest, defaults: Defaults) -> list[Query]:
    """The queries of a request for several users."""
    if len(body.user_ids) > defaults.max_users:
        raise InvalidInputError(
            "The request is not valid: user_ids list should have at most"
            f" {defaults.max_users} items."
        )
    key = batch_key(body, defaults)
    top_k = top_k_of(body, defaults)
    constraints = Constraints(min_score=body.min_score)
    distinct, variety = is_distinct(body, key), variety_of(body, defaults)
    return [
        Query(
            key,
            top_k,
            user_id,
            constraints=constraints,
            distinct=distinct,
            variety=variety,
        )
        for user_id in body.user_ids
    ]


def similar_query(job_id: Id, top_n: int, defaults: Defaults) -> Query:
    """The query for jobs similar to a job."""
    filters = unexpired(defaults.expires, defaults)
    return Query(BatchKey("similarity", source="job", filters=filters), top_n, job_id)


def candidates_query(body: CandidatesRequest, defaults: Defaults) -> Query:
    """The query for users who fit a job."""
    key = BatchKey(body.rank_by, source="job", target="users")
    return Query(key, top_k_of(body, defaults), body.job_id)


def explaining_queries(
    queries: Sequence[Query], outcomes: Sequence[Outcome]
) -> dict[int, Query]:
    """The queries that explain the hits of these outcomes, by position."""
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
    """The response for one profile.

    `explained`: hits with explanations, by id. Only their explanations are used; the
    scores are those of `result`.
    """
    return RecommendResponse(
        recommendations=[
            _explained_job(_with_explanation(hit, explained[hit.id]))
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
    """The response with jobs similar to a job."""
    return SimilarResponse(
        similar=[_job(hit) for hit in result.hits],
        total_jobs_analyzed=result.analyzed,
        detail=result.message,
    )


def candidates_response(result: Result) -> CandidatesResponse:
    """The response with users who fit a job."""
    return CandidatesResponse(
        candidates=[_candidate(hit) for hit in result.hits],
        total_users_analyzed=result.analyzed,
        detail=result.message,
    )


def _job(hit: Hit) -> Recommended:
    return Recommended(
        job_id=hit.id,
        similarity_score=hit.similarity_score,
        skills=hit.text,
        columns=hit.columns,
        because=hit.because,
        factor=hit.factor,
    )


def _explained_job(hit: Hit) -> ExplainedJob:
    return ExplainedJob(
        job_id=hit.id,
        similarity_score=hit.similarity_score,
        skills=hit.text,
        columns=hit.columns,
        because=hit.because,
        factor=hit.factor,
        relevance=hit.relevance,
        parts=None if hit.parts is None else ScoreParts(**asdict(hit.parts)),
        repeats=None if hit.repeats is None else list(hit.repeats),
        **_explained(hit),
    )


def _candidate(hit: Hit) -> Candidate:
    return Candidate(
        user_id=hit.id,
        similarity_score=hit.similarity_score,
        skills=hit.text,
        **_explained(hit),
    )


def _with_explanation(hit: Hit, explained: Hit) -> Hit:
    return replace(
        hit, explanation=explained.explanation, match_score=explained.match_score
    )


def _explained(hit: Hit) -> Mapping[str, object]:
    explanation = hit.explanation
    if explanation is None:
        return {"match_score": hit.match_score}
    return {
        "match_score": hit.match_score,
        "coverage": explanation.coverage,
        "matched": [_pair(pair) for pair in explanation.matched],
        "close": [_pair(pair) for pair in explanation.close],
        "missing": list(explanation.missing),
    }


def _pair(pair: Pair) -> MatchedSkill:
    return MatchedSkill(
        skill=pair.skill, job_skill=pair.other, similarity=pair.similarity
    )


def server_timing(timings: Timings, start: float) -> str:
    """The value of the Server-Timing header."""
    total_ms = (time.perf_counter() - start) * 1000
    return (
        f"encode;dur={timings.encode_ms:.1f}, scan;dur={timings.scan_ms:.1f},"
        f" total;dur={total_ms:.1f}"
    )
