"""`POST /api/recommend`, for one user and for several."""

import time
from collections.abc import Sequence

from fastapi import APIRouter, Request, Response

from app.api.batch import BATCH_ANSWER, batch_json
from app.api.disconnect import cancel_on_disconnect
from app.api.explaining import RecommendAnswer, recommend
from app.api.mapping import Defaults, batch_queries, recommend_query, server_timing
from app.api.openapi import API_KEYS, ERRORS
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
    router = APIRouter(dependencies=API_KEYS if needs_key else [])

    async def answers(
        queries: Sequence[Query], request: Request, response: Response, *, explain: bool
    ) -> Sequence[RecommendAnswer]:
        start = time.perf_counter()
        deadline = Deadline.after(timeout_s)
        work = recommend(queue, queries, deadline, explain=explain)
        found, timings = await cancel_on_disconnect(request, work)
        request.state.timings = timings
        response.headers["Server-Timing"] = server_timing(timings, start)
        return found

    @router.post("/api/recommend", responses=ERRORS)
    async def recommend_to_one(
        asked: RecommendRequest, request: Request, response: Response
    ) -> RecommendResponse:
        """The jobs that fit a user, or a skills text, best first."""
        query = recommend_query(asked, defaults)
        (found,) = await answers([query], request, response, explain=asked.explain)
        if isinstance(found, AppError):
            raise found
        return found

    @router.post(
        "/api/recommend/batch",
        response_class=Response,
        responses={**ERRORS, 200: BATCH_ANSWER},
    )
    async def recommend_to_many(asked: BatchRequest, request: Request) -> Response:
        """The jobs that fit each of several users, from one scan of the table."""
        response = Response(media_type="application/json")
        queries = batch_queries(asked, defaults)
        found = await answers(queries, request, response, explain=asked.explain)
        return Response(
            batch_json(asked.user_ids, found),
            media_type="application/json",
            headers={"Server-Timing": response.headers["Server-Timing"]},
        )

    return router
