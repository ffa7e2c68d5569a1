"""The routes: each parses, makes one call, and returns."""

import time
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from app.api.batch import BATCH_ANSWER, batch_json
from app.api.gone import unless_gone
from app.api.matching import KEYS, server_timing
from app.api.recommending import Recommending
from app.api.schemas import (
    AliveResponse,
    ErrorResponse,
    JobCounts,
    ReadyResponse,
    RecommendResponse,
    batch_request,
    recommend_request,
)
from app.deadline import Deadline
from app.errors import AppError
from app.ops.metrics import Telemetry
from app.ops.readiness import SharedReadiness

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


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of these error answers."""
    return {status: ERRORS[status] for status in statuses}


def build_router(
    readiness: SharedReadiness,
    telemetry: Telemetry,
    *,
    max_top_n: int,
    timeout_s: float,
    needs_key: bool,
    recommending: Recommending,
    most_users: int,
) -> APIRouter:
    """All routes over these services."""
    router = APIRouter()
    keys = KEYS if needs_key else []
    bounded_request = recommend_request(max_top_n)
    bounded_batch = batch_request(max_top_n, most_users)

    @router.post("/api/recommend", responses=ERRORS, dependencies=keys)
    async def recommend(
        asked: bounded_request,  # type: ignore[valid-type]  # made for the setting
        request: Request,
        response: Response,
    ) -> RecommendResponse:
        """The jobs that fit a user, or a skills text, best first."""
        start = time.perf_counter()
        deadline = Deadline.after(timeout_s)
        work = recommending.one(asked, deadline)
        found, timings = await unless_gone(request, work)
        request.state.timings = timings
        response.headers["Server-Timing"] = server_timing(timings, start)
        return found

    @router.post(
        "/api/recommend/batch",
        response_class=Response,
        responses={**ERRORS, 200: BATCH_ANSWER},
        dependencies=keys,
    )
    async def recommend_to_many(
        asked: bounded_batch,  # type: ignore[valid-type]  # made for the setting
        request: Request,
    ) -> Response:
        """The jobs that fit each of several users, from one pass over the table."""
        start = time.perf_counter()
        deadline = Deadline.after(timeout_s)
        work = recommending.many(asked, deadline)
        outcomes, timings = await unless_gone(request, work)
        request.state.timings = timings
        ids = asked.user_ids  # type: ignore[attr-defined]  # as above
        return Response(
            batch_json(ids, outcomes),
            media_type="application/json",
            headers={"Server-Timing": server_timing(timings, start)},
        )

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
