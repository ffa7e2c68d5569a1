"""`POST /api/recommend` for one profile, and `/batch` for several users."""

import time
from collections.abc import Sequence

from fastapi import APIRouter, Request, Response

from app.api.batch import BATCH_ANSWER, batch_json
from app.api.disconnect import cancel_on_disconnect
from app.api.explaining import RecommendAnswer, recommend
from app.api.mapping import batch_queries, recommend_query, server_timing
from app.api.openapi import API_KEYS, ERRORS
from app.api.options import Defaults
from app.api.requests import BatchRequest, RecommendRequest
from app.api.responses import RecommendResponse
from app.deadline import Deadline
from app.errors import AppError
from app.query.query import Query
from app.ranking.dispatch import QueryQueue


def build_recommend_router(
    queue: QueryQueue, defaults: Defaults, *, timeout_s: float, needs_key: bool
) -> APIRouter:
    """The routes that recommend."""
    router = APIRouter(
        dependencies=API_KEYS if needs_key else [], tags=["recommendations"]
    )

    async def answers(
        queries: Sequence[Query], request: Request, *, explain: bool
    ) -> tuple[Sequence[RecommendAnswer], dict[str, str]]:
        """The answers and the headers of their response."""
        start = time.perf_counter()
        deadline = Deadline.after(timeout_s)
        work = recommend(queue, queries, deadline, explain=explain)
        found, timings = await cancel_on_disconnect(request, work)
        request.state.timings = timings
        return found, {"Server-Timing": server_timing(timings, start)}

    @router.post("/api/recommend", responses=ERRORS)
    async def recommend_jobs(
        asked: RecommendRequest, request: Request, response: Response
    ) -> RecommendResponse:
        """The jobs that fit a user or a skills text, best first."""
        query = recommend_query(asked, defaults)
        (found,), headers = await answers([query], request, explain=asked.explain)
        if isinstance(found, AppError):
            raise found
        response.headers.update(headers)
        return found

    @router.post(
        "/api/recommend/batch",
        response_class=Response,
        responses={**ERRORS, 200: BATCH_ANSWER},
    )
    async def recommend_jobs_batch(asked: BatchRequest, request: Request) -> Response:
        """The jobs that fit each of several users, from one scan of the table."""
        queries = batch_queries(asked, defaults)
        found, headers = await answers(queries, request, explain=asked.explain)
        body = batch_json(asked.user_ids, found)
        return Response(body, media_type="application/json", headers=headers)

    return router
