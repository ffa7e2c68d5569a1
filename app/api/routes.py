"""The routes: each parses, makes one call, and returns."""

import time
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request, Response, Security
from fastapi.responses import PlainTextResponse
from fastapi.security import APIKeyHeader, HTTPBearer
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from app.api.gone import unless_gone
from app.api.schemas import (
    AliveResponse,
    ErrorResponse,
    JobCounts,
    ReadyResponse,
    RecommendBody,
    Recommended,
    RecommendResponse,
    recommend_request,
)
from app.deadline import Deadline
from app.errors import AppError
from app.readiness import SharedReadiness
from app.recommend import Answer, Question
from app.scan.passes import SharedPasses
from app.telemetry import Telemetry

Passes = SharedPasses[Question, Answer]

# Counting reads the whole table: a scrape every 15 s must not do it every time.
COUNTS_AGE_S = 60.0

ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorResponse, "description": "The body cannot be parsed."},
    401: {"model": ErrorResponse, "description": "No API key, or a wrong one."},
    404: {"model": ErrorResponse, "description": "Unknown user."},
    408: {"model": ErrorResponse, "description": "The body did not arrive in time."},
    413: {"model": ErrorResponse, "description": "The body is too large."},
    422: {"model": ErrorResponse, "description": "The request is not valid."},
    429: {"model": ErrorResponse, "description": "The key's rate is used up."},
    503: {"model": ErrorResponse, "description": "Try again after Retry-After."},
}

# For the document only: `app.api.guard` has refused everyone else by then.
KEYS = [
    Security(HTTPBearer(auto_error=False)),
    Security(APIKeyHeader(name="X-API-Key", auto_error=False)),
]


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of these error answers."""
    return {status: ERRORS[status] for status in statuses}


def build_router(
    passes: Passes,
    readiness: SharedReadiness,
    telemetry: Telemetry,
    *,
    max_top_n: int,
    timeout_s: float,
    needs_key: bool,
) -> APIRouter:
    """All routes over these services."""
    router = APIRouter()
    keys = KEYS if needs_key else []
    bounded_request = recommend_request(max_top_n)

    @router.post("/api/recommend", responses=ERRORS, dependencies=keys)
    async def recommend(
        asked: bounded_request,  # type: ignore[valid-type]  # made for the setting
        request: Request,
        response: Response,
    ) -> RecommendResponse:
        """The jobs that fit a user, or a skills text, best first."""
        start = time.perf_counter()
        question = _question(asked)
        answer = await unless_gone(
            request, passes.ask(question, Deadline.after(timeout_s))
        )
        request.state.timings = answer.timings
        response.headers["Server-Timing"] = _server_timing(answer, start)
        return _public(answer)

    @router.get("/healthz")
    async def alive() -> AliveResponse:
        """The process is alive. Touches nothing else."""
        return AliveResponse()

    @router.get(
        "/metrics",
        response_class=PlainTextResponse,
        responses=errors(401, 429),
        dependencies=keys,
    )
    async def metrics() -> Response:
        """Everything the service measures, in Prometheus' text format."""
        # A failure is a figure here: the gauge `recommender_ready` becomes 0.
        with suppress(AppError):
            await readiness(at_most_age_s=COUNTS_AGE_S)
        return Response(telemetry.render(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    @router.get("/readyz", responses=errors(401, 429, 503), dependencies=keys)
    async def ready() -> ReadyResponse:
        """Database, schema and model are in place; how many rows are in which state."""
        found = await readiness()
        return ReadyResponse(
            jobs=JobCounts.model_validate(found.jobs),
            users=found.users,
            model=found.model,
            model_loaded=found.model_loaded,
        )

    return router


def _question(asked: RecommendBody) -> Question:
    return Question(top_n=asked.top_n, user_id=asked.user_id, skills=asked.skills)


def _public(answer: Answer) -> RecommendResponse:
    return RecommendResponse(
        recommendations=[
            Recommended(
                job_id=job.job_id,
                similarity_score=job.similarity_score,
                skills=job.skills,
            )
            for job in answer.recommendations
        ],
        total_jobs_analyzed=answer.total_jobs_analyzed,
        total_jobs_pending=answer.total_jobs_pending,
        detail=answer.note,
    )


def _server_timing(answer: Answer, start: float) -> str:
    total_ms = (time.perf_counter() - start) * 1000
    timings = answer.timings
    return (
        f"encode;dur={timings.encode_ms:.1f}, scan;dur={timings.scan_ms:.1f},"
        f" total;dur={total_ms:.1f}"
    )
