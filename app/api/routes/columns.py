"""Which columns there are to show and to filter on, also for the OpenAPI document."""

from collections.abc import Sequence

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from app.api.openapi import API_KEYS, VALUES, Schema
from app.api.responses import ErrorResponse
from app.ops.readiness import SingleFlight
from app.ranking.registry import RANKINGS
from app.storage.columns import JobColumn

# A column that appears or changes its type is seen so much later by who asks here.
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
        "rank_by": {"enum": list(RANKINGS)},
    },
}


def build_columns_router(
    columns: SingleFlight[Sequence[JobColumn]], *, rank_by: str, needs_key: bool
) -> APIRouter:
    """`GET /api/columns`."""
    router = APIRouter(dependencies=API_KEYS if needs_key else [])
    refusals = {401: "No API key.", 429: "Too often.", 503: "Try again later."}

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
    async def offered() -> JSONResponse:
        """The columns that each job shows and that `filters` may name, and how
        requests are ranked that do not say it.
        """
        found = await columns(at_most_age_s=COLUMNS_FRESH_S)
        public = [{"name": column.name, "type": column.type} for column in found]
        return JSONResponse({"success": True, "columns": public, "rank_by": rank_by})

    return router
