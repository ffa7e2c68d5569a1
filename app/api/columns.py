"""Which columns there are to show and to filter on, also for the OpenAPI document."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse

from app.api.matching import KEYS
from app.api.schemas import ErrorResponse, RankBy
from app.ops.readiness import Shared
from app.query.filters import BOUNDS, MOST_VALUES
from app.storage.columns import ColumnType, JobColumn
from app.storage.offered_columns import OfferedColumns

# A column that appears or changes its type is seen so much later by who asks here.
FRESH_S = 5.0

Schema = dict[str, Any]

VALUES: Mapping[ColumnType, Schema] = {
    "text": {"type": "string", "pattern": r"^[^\u0000]*$"},
    "integer": {"type": "integer", "minimum": -(2**63), "exclusiveMaximum": 2**63},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "timestamp": {"type": "string", "format": "date-time"},
}
BOUNDS_OF_INTEGERS = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
)
NULL: Schema = {"type": "null"}

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
        "rank_by": {"enum": ["similarity", "skills"]},
    },
}


def build_columns_router(
    columns: Shared[Sequence[JobColumn]], *, rank_by: RankBy, needs_key: bool
) -> APIRouter:
    """`GET /api/columns`."""
    router = APIRouter(dependencies=KEYS if needs_key else [])
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
        found = await columns(at_most_age_s=FRESH_S)
        public = [{"name": column.name, "type": column.type} for column in found]
        return JSONResponse({"success": True, "columns": public, "rank_by": rank_by})

    return router


def describe_filters(app: FastAPI, columns: OfferedColumns) -> None:
    """Let the OpenAPI document say which filters there are: their types, too, as soon
    as the database has told them.
    """
    original = app.openapi

    def openapi() -> dict[str, Any]:
        document = original()
        schemas = document["components"]["schemas"]
        for name in ("RecommendRequest", "BatchRequest"):
            schemas[name]["properties"]["filters"] |= _filters_schema(columns)
        _make_bounds_exact(schemas)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's manual has it


def _make_bounds_exact(node: object) -> None:
    """FastAPI writes the bounds of integers as floats, which programs that read them
    cannot tell from their neighbours near 2**63.
    """
    if isinstance(node, dict):
        for key in BOUNDS_OF_INTEGERS & node.keys():
            if node.get("type") == "integer":
                node[key] = int(node[key])
        for value in node.values():
            _make_bounds_exact(value)
    elif isinstance(node, list):
        for value in node:
            _make_bounds_exact(value)


def _filters_schema(columns: OfferedColumns) -> Schema:
    types = {column.name: column.type for column in columns.known}
    return {
        "anyOf": [
            {
                "type": "object",
                "properties": {
                    name: _filter_schema(types.get(name)) for name in columns.names
                },
                "additionalProperties": False,
            },
            NULL,
        ]
    }


def _filter_schema(kind: ColumnType | None) -> Schema:
    value = VALUES[kind] if kind else {"type": ["string", "number", "boolean"]}
    several = {
        "type": "array",
        "items": {"anyOf": [value, NULL]},
        "maxItems": MOST_VALUES,
    }
    within = {
        "type": "object",
        "properties": dict.fromkeys(BOUNDS, value),
        "additionalProperties": False,
        "minProperties": 1,
    }
    ordered = kind not in ("text", "boolean")
    return {"anyOf": [value, NULL, several, *([within] if ordered else [])]}
