"""`POST /api/recommend` for one profile, and `/batch` for several users."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from app.api.batch import BATCH_ANSWER, batch_json
from app.api.disconnect import cancel_on_disconnect
from app.api.explaining import RecommendAnswer, recommend
from app.api.interleaving import BuildQueries, Comparison
from app.api.mapping import batch_queries, recommend_query, server_timing
from app.api.openapi import ERRORS
from app.api.options import Defaults
from app.api.requests import BatchRequest, RankingOptions, RecommendRequest
from app.api.responses import RecommendResponse
from app.api.strict_route import api_router
from app.deadline import Deadline
from app.errors import AppError
from app.query.exposure import Exposure
from app.ranking.dispatch import QueryQueue

ExposureSink = Callable[[Sequence[Exposure]], None]


@dataclass(frozen=True)
class Answering:
    """How requests are answered. `on_shown` gets what was shown to users."""

    queue: QueryQueue
    defaults: Defaults
    timeout_s: float
    comparison: Comparison | None = None
    on_shown: ExposureSink = lambda _: None

    async def __call__(
        self, asked: RankingOptions, request: Request, build: BuildQueries
    ) -> tuple[Sequence[RecommendAnswer], dict[str, str]]:
        """The answers and the headers of their response."""
        start = time.perf_counter()
        queries, comparison = build(self.defaults), self.comparison
        work = recommend(
            self.queue,
            queries,
            Deadline.after(self.timeout_s),
            explain=asked.explain,
            drafts=comparison.drafts(asked, queries, build) if comparison else (),
            label=comparison.label if comparison else None,
        )
        found = await cancel_on_disconnect(request, work)
        self.on_shown(found.exposures)
        request.state.timings = found.timings
        return found.answers, {"Server-Timing": server_timing(found.timings, start)}


def build_recommend_router(answers: Answering, *, needs_key: bool) -> APIRouter:
    """The routes that recommend."""
    router = api_router("recommendations", needs_key=needs_key)

    @router.post("/api/recommend", responses=ERRORS)
    async def recommend_jobs(
        asked: RecommendRequest, request: Request, response: Response
    ) -> RecommendResponse:
        """The jobs that fit a user or a skills text, best first."""
        (found,), headers = await answers(
            asked, request, lambda defaults: [recommend_query(asked, defaults)]
        )
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
        found, headers = await answers(
            asked, request, lambda defaults: batch_queries(asked, defaults)
        )
        body = batch_json(asked.user_ids, found)
        return Response(body, media_type="application/json", headers=headers)

    return router
