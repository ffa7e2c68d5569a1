"""`GET /api/columns`: the columns of the jobs, and the page's ranking."""

from collections.abc import Sequence

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from app.api.openapi import VALUES, Schema
from app.api.responses import ErrorResponse
from app.api.strict_route import api_router
from app.ops.readiness import SingleFlight
from app.ranking.registry import RANKINGS
from app.storage.columns import JobColumn

# A new column or a changed type appears here at most this much later.
COLUMNS_FRESH_S = 5.0


ANSWER: Schema = {
    "type": "object",
    "required": ["success", "columns", "rank_by"],
    "properties": {
        "success": {"const": True},
        "columns": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "type"],
                "properties": {
                    "name": {"type": "string"},
                    "type": {"enum": list(VALUES)},
                },
            },
        },
        "rank_by": {
            "enum": list(RANKINGS),
            "description": "The ranking for typed queries, with which the page starts:"
            " RANK_BY, or hybrid if that is not set.",
        },
    },
}


def build_columns_router(
    columns: SingleFlight[Sequence[JobColumn]], *, rank_by: str, needs_key: bool
) -> APIRouter:
    """The route `GET /api/columns`."""
    router = api_router("recommendations", needs_key=needs_key)
    refusals = {
        401: "No API key, or a wrong one.",
        429: "The rate limit is reached.",
        503: "Try again after Retry-After.",
    }

    @router.get(
        "/api/columns",
        response_class=JSONResponse,
        responses={
            200: {"content": {"application/json": {"schema": ANSWER}}},
            **{
                status: {"model": ErrorResponse, "description": why}
                for status, why in refusals.items()
            },
        },
    )
    async def list_columns() -> JSONResponse:
        """The columns that responses show and `filters` accepts, and the default
        ranking.
        """
        found = await columns(at_most_age_s=COLUMNS_FRESH_S)
        public = [{"name": column.name, "type": column.type} for column in found]
        return JSONResponse({"success": True, "columns": public, "rank_by": rank_by})

    return router
