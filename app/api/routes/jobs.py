"""Similar jobs of a job, and candidates for it."""

import time
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.convertors import Convertor, register_url_convertor

from app.api import mapping
from app.api.disconnect import cancel_on_disconnect
from app.api.options import Defaults
from app.api.requests import CandidatesRequest
from app.api.responses import CandidatesResponse, ErrorResponse, SimilarResponse
from app.api.strict_route import api_router
from app.deadline import Deadline
from app.query import query as queries
from app.query.result import Result
from app.ranking.dispatch import QueryQueue, ask

NOT_FOUND: dict[int | str, dict[str, object]] = {
    400: {"model": ErrorResponse, "description": "The body cannot be parsed."},
    404: {"model": ErrorResponse, "description": "Unknown job."},
    422: {"model": ErrorResponse, "description": "The request is not valid."},
    503: {"model": ErrorResponse, "description": "Try again after Retry-After."},
}


class AnyTextConvertor(Convertor[str]):
    """A path parameter that may contain slashes and line breaks, as ids may."""

    regex = r"[\s\S]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


ANY_TEXT = "any_text"
register_url_convertor(ANY_TEXT, AnyTextConvertor())


def build_jobs_router(
    queue: QueryQueue, defaults: Defaults, *, timeout_s: float, needs_key: bool
) -> APIRouter:
    """The routes `/api/jobs/{job_id}/similar` and `/api/candidates`."""
    router = api_router("recommendations", needs_key=needs_key)

    async def answer(
        query: queries.Query, request: Request, response: Response
    ) -> Result:
        start = time.perf_counter()
        work = ask(queue, query, Deadline.after(timeout_s))
        result = await cancel_on_disconnect(request, work)
        request.state.timings = result.timings
        response.headers["Server-Timing"] = mapping.server_timing(result.timings, start)
        return result

    @router.get("/api/jobs/{job_id:any_text}/similar", responses=NOT_FOUND)
    async def similar_jobs(
        job_id: Annotated[str, Path(min_length=1)],
        request: Request,
        response: Response,
        top_n: Annotated[int, Query(ge=1, le=defaults.max_top_n)] = defaults.top_n,
    ) -> SimilarResponse:
        """The most similar jobs of a job, by their stored embeddings."""
        query = mapping.similar_query(job_id, top_n, defaults)
        return mapping.similar_response(await answer(query, request, response))

    @router.post("/api/candidates", responses=NOT_FOUND)
    async def recommend_candidates(
        body: CandidatesRequest, request: Request, response: Response
    ) -> CandidatesResponse:
        """The users who fit a job best, by skills or by similarity of the texts."""
        query = mapping.candidates_query(body, defaults)
        return mapping.candidates_response(await answer(query, request, response))

    return router
