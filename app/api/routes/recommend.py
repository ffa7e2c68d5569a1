"""`POST /api/recommend`, for one user and for several."""

import time

from fastapi import APIRouter, Request, Response

from app.api.batch import BATCH_ANSWER, batch_json
from app.api.disconnect import cancel_on_disconnect
from app.api.mapping import Recommending, server_timing
from app.api.openapi import ERRORS, KEYS
from app.api.requests import batch_request, recommend_request
from app.api.responses import (
    RecommendResponse,
)
from app.deadline import Deadline


def build_recommend_router(
    *,
    max_top_n: int,
    timeout_s: float,
    needs_key: bool,
    recommending: Recommending,
    most_users: int,
) -> APIRouter:
    """The routes that recommend."""
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
        found, timings = await cancel_on_disconnect(request, work)
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
        outcomes, timings = await cancel_on_disconnect(request, work)
        request.state.timings = timings
        ids = asked.user_ids  # type: ignore[attr-defined]  # as above
        return Response(
            batch_json(ids, outcomes),
            media_type="application/json",
            headers={"Server-Timing": server_timing(timings, start)},
        )

    return router
