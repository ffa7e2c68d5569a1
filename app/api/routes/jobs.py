"""Jobs similar to a job, and candidates for it."""

import time
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import ConfigDict, Field

from app.api.disconnect import cancel_on_disconnect
from app.api.mapping import candidate, server_timing
from app.api.openapi import KEYS
from app.api.requests import DEFAULT_TOP_N, CandidatesRequest, Whole
from app.api.responses import (
    CandidatesResponse,
    ErrorResponse,
    Recommended,
    SimilarResponse,
)
from app.deadline import Deadline
from app.query.query import NeighbourQuestion, SkillQuestion
from app.query.result import SkillAnswer
from app.ranking.dispatch import AnyQuestion, Passes

NOT_FOUND: dict[int | str, dict[str, object]] = {
    400: {"model": ErrorResponse, "description": "The body cannot be parsed."},
    404: {"model": ErrorResponse, "description": "Unknown job."},
    422: {"model": ErrorResponse, "description": "The request is not valid."},
    503: {"model": ErrorResponse, "description": "Try again after Retry-After."},
}


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
        answer = await cancel_on_disconnect(
            request, passes.ask(q, Deadline.after(timeout_s))
        )
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
            candidates=[candidate(match) for match in answer.matches],
            total_users_analyzed=answer.total_analyzed,
            detail=answer.note,
        )

    return router
