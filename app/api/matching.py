"""The routes of skill matching, and its part of the answers."""

import time
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from app.api.gone import unless_gone
from app.api.schemas import (
    DEFAULT_TOP_N,
    ErrorResponse,
    Integer64,
    PublicId,
    Recommended,
    TextId,
    Whole,
)
from app.deadline import Deadline
from app.query.query import NeighbourQuestion, SkillQuestion
from app.query.result import Explanation, Match, Pair, SkillAnswer, Timings
from app.ranking.dispatch import AnyQuestion, Passes

# For the document only: `app.api.guard` has refused everyone else by then.
KEYS = [
    Security(HTTPBearer(auto_error=False)),
    Security(APIKeyHeader(name="X-API-Key", auto_error=False)),
]

NOT_FOUND: dict[int | str, dict[str, object]] = {
    400: {"model": ErrorResponse, "description": "The body cannot be parsed."},
    404: {"model": ErrorResponse, "description": "Unknown job."},
    422: {"model": ErrorResponse, "description": "The request is not valid."},
    503: {"model": ErrorResponse, "description": "Try again after Retry-After."},
}


class MatchedSkill(BaseModel):
    """A skill of the user, and the most similar skill of the job."""

    skill: str
    job_skill: str
    similarity: float


class Explained(BaseModel):
    """Why something fits. Null where the skills of the row are still to be split."""

    model_config = ConfigDict(defer_build=True)

    match_score: float | None = Field(
        None,
        description="The weighted share of the skills asked for that are there, 0 to"
        " 1: a skill counts for more, the fewer jobs list it or one like it; what is"
        " nearly there counts in part, and a job that lists many more costs some.",
    )
    coverage: float | None = Field(
        None, description="The share of the other side's skills that are covered."
    )
    matched: list[MatchedSkill] | None = None
    close: list[MatchedSkill] | None = None
    missing: list[str] | None = None


class ExplainedJob(Explained, Recommended):
    """A recommended job with the reasons."""

    similarity_score: float | None = Field(  # type: ignore[assignment]  # null as well
        description="Cosine similarity of the texts; null while it is pending."
    )


class Candidate(Explained):
    """A user who fits a job."""

    user_id: PublicId
    similarity_score: float | None
    skills: str | None


class SimilarResponse(BaseModel):
    """The most similar jobs first."""

    success: bool = True
    similar: list[Recommended]
    total_jobs_analyzed: int
    detail: str | None = None


class CandidatesResponse(BaseModel):
    """The best users first."""

    success: bool = True
    candidates: list[Candidate]
    total_users_analyzed: int
    detail: str | None = None


class CandidatesRequest(BaseModel):
    """Which users fit a job."""

    # Not built itself, only with the bound of the setting: validators take memory.
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    job_id: Integer64 | TextId
    top_n: Whole = Field(DEFAULT_TOP_N, ge=1)
    rank_by: Annotated[str, Field(pattern="^(similarity|skills)$")] = "skills"


def explained_job(match: Match, score: float | None = None) -> ExplainedJob:
    """The public form of a job with its reasons; `score` where it was ranked by it."""
    return ExplainedJob(
        job_id=match.id,
        similarity_score=match.similarity_score if score is None else score,
        skills=match.text,
        columns=match.columns,
        **_reasons(match.explanation),
    )


def _candidate(match: Match) -> Candidate:
    return Candidate(
        user_id=match.id,
        similarity_score=match.similarity_score,
        skills=match.text,
        **_reasons(match.explanation),
    )


def _reasons(why: Explanation | None) -> dict[str, object]:
    if why is None:
        return {}
    return {
        "match_score": why.score,
        "coverage": why.coverage,
        "matched": [_public(pair) for pair in why.matched],
        "close": [_public(pair) for pair in why.close],
        "missing": list(why.missing),
    }


def _public(pair: Pair) -> MatchedSkill:
    return MatchedSkill(
        skill=pair.skill, job_skill=pair.other, similarity=pair.similarity
    )


def server_timing(timings: Timings, start: float) -> str:
    """The value of the header Server-Timing."""
    total_ms = (time.perf_counter() - start) * 1000
    return (
        f"encode;dur={timings.encode_ms:.1f}, scan;dur={timings.scan_ms:.1f},"
        f" total;dur={total_ms:.1f}"
    )


def build_matching_router(
    passes: Passes, *, max_top_n: int, timeout_s: float, needs_key: bool
) -> APIRouter:
    """Jobs like a job, and users for a job."""
    router = APIRouter(dependencies=KEYS if needs_key else [])

    class Bounded(CandidatesRequest):
        model_config = ConfigDict(defer_build=False)

        top_n: Whole = Field(min(DEFAULT_TOP_N, max_top_n), ge=1, le=max_top_n)

    async def ask(request: Request, response: Response, q: AnyQuestion) -> SkillAnswer:
        start = time.perf_counter()
        answer = await unless_gone(request, passes.ask(q, Deadline.after(timeout_s)))
        request.state.timings = answer.timings
        response.headers["Server-Timing"] = server_timing(answer.timings, start)
        assert isinstance(answer, SkillAnswer)  # noqa: S101  (by the question's type)
        return answer

    # Ids may hold slashes, which a path has decoded by the time it gets here.
    @router.get("/api/jobs/{job_id:path}/similar", responses=NOT_FOUND)
    async def similar(
        job_id: Annotated[str, Path(min_length=1, max_length=200)],
        request: Request,
        response: Response,
        top_n: Annotated[int, Query(ge=1, le=max_top_n)] = min(
            DEFAULT_TOP_N, max_top_n
        ),
    ) -> SimilarResponse:
        """The jobs whose texts are most like this job's, from stored embeddings."""
        question = NeighbourQuestion(top_n, job_id)
        answer = await ask(request, response, question)
        return SimilarResponse(
            similar=[
                Recommended(
                    job_id=m.id,
                    similarity_score=m.similarity_score or 0.0,
                    skills=m.text,
                    columns=m.columns,
                )
                for m in answer.matches
            ],
            total_jobs_analyzed=answer.total_analyzed,
            detail=answer.note,
        )

    @router.post("/api/candidates", responses=NOT_FOUND)
    async def candidates(
        asked: Bounded, request: Request, response: Response
    ) -> CandidatesResponse:
        """The users that fit a job, by their skills or by their whole texts."""
        question: AnyQuestion = (
            SkillQuestion(asked.top_n, job_id=asked.job_id)
            if asked.rank_by == "skills"
            else NeighbourQuestion(asked.top_n, asked.job_id, finds_users=True)
        )
        answer = await ask(request, response, question)
        return CandidatesResponse(
            candidates=[_candidate(match) for match in answer.matches],
            total_users_analyzed=answer.total_analyzed,
            detail=answer.note,
        )

    return router
