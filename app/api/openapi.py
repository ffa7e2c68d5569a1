"""The OpenAPI document: additions to FastAPI's own."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer

from app.api.options import Defaults
from app.api.responses import ErrorResponse, ExplainedJob
from app.query.filters import BOUNDS, MAX_VALUES
from app.storage.columns import ColumnType
from app.storage.filterable_columns import FilterableColumns

Schema = dict[str, Any]


VALUES: Mapping[ColumnType, Schema] = {
    "text": {"type": "string", "pattern": r"^[^\u0000]*$"},
    "integer": {
        "anyOf": [
            {"type": "integer", "minimum": -(2**63), "exclusiveMaximum": 2**63},
            {"type": "string", "pattern": "^-?[0-9]{1,18}$"},
        ]
    },
    "number": {
        "anyOf": [{"type": "number"}, {"type": "string", "pattern": "^-?[0-9]{1,38}$"}]
    },
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "timestamp": {"type": "string", "format": "date-time"},
}


BOUNDS_OF_INTEGERS = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
)


SCHEMA_REF = "#/components/schemas/{model}"

NULL_SCHEMA: Schema = {"type": "null"}


# A generated client has a class per tag and a method per operation.
TAGS: list[Schema] = [
    {
        "name": "recommendations",
        "description": "Rank jobs for people, and the reverse.",
    },
    {"name": "feedback", "description": "What users did with jobs."},
    {"name": "health", "description": "For hosts and monitoring."},
]


def operation_id(route: APIRoute) -> str:
    """The name of the route's function, which is the method of a generated client."""
    return route.name


def describe_settings(
    app: FastAPI, columns: FilterableColumns, defaults: Defaults
) -> None:
    """Add the limits and filters from the settings to the OpenAPI document.

    The types of filters appear once they have been read from the database.
    """
    original = app.openapi

    def openapi() -> dict[str, Any]:
        document = original()
        schemas = document["components"]["schemas"]
        for name in ("RecommendRequest", "BatchRequest", "CandidatesRequest"):
            schemas[name]["properties"]["top_n"] |= {
                "maximum": defaults.max_top_n,
                "default": defaults.top_n,
            }
        for name in ("RecommendRequest", "BatchRequest"):
            _describe_columns(schemas[name]["properties"], columns)
        _describe_freshness(schemas["Freshness"]["properties"], columns)
        _describe_explained_jobs(schemas)
        users = schemas["BatchRequest"]["properties"]["user_ids"]
        users["maxItems"] = defaults.max_users
        _make_bounds_exact(schemas)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's manual has it


def _describe_explained_jobs(schemas: Schema) -> None:
    """Describe a job with the fields of its explanation, which are all optional.

    A route's own model has only the fields of every job: a second response model would
    take memory for good.
    """
    schema = ExplainedJob.model_json_schema(ref_template=SCHEMA_REF)
    schemas.update(schema.pop("$defs"))
    schemas["Recommended"] = schema | {
        "title": "Recommended",
        "description": "A recommended job. The fields of the explanation come with a"
        " ranking by skills or with `explain`.",
    }


def _make_bounds_exact(node: object) -> None:
    """Make the bounds of integers integers again.

    FastAPI writes them as floats, which are not exact near 2**63.
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


# What `app.storage.boosts` and `app.storage.conditions` accept.
COLUMNS_OF_DATES: Sequence[ColumnType] = ("date", "timestamp")
COLUMNS_OF_NUMBERS: Sequence[ColumnType] = ("integer", "number")


def _describe_columns(properties: Schema, columns: FilterableColumns) -> None:
    """Name the columns that the options of a request may name."""
    properties["filters"] |= _filters_schema(columns)
    if not columns.names:  # a client's types come from such a document
        return
    limits = properties["max_per"]
    limits.pop("examples", None)
    limit = limits["anyOf"][0].pop("additionalProperties")
    limits["anyOf"][0] |= {
        "properties": dict.fromkeys(columns.names, limit),
        "additionalProperties": False,
    }
    for name, types in (("boost", COLUMNS_OF_NUMBERS), ("expires", COLUMNS_OF_DATES)):
        properties[name]["anyOf"] = [*_one_of(columns, types), NULL_SCHEMA]


def _describe_freshness(properties: Schema, columns: FilterableColumns) -> None:
    if not columns.names:
        return
    properties["column"].pop("examples", None)
    for schema in _one_of(columns, COLUMNS_OF_DATES):
        properties["column"] |= schema


def _one_of(columns: FilterableColumns, types: Sequence[ColumnType]) -> list[Schema]:
    """A name of a column of these types; of any, before they are known."""
    known = {column.name: column.type for column in columns.known}
    names = [n for n in columns.names if known.get(n, types[0]) in types]
    return [{"type": "string", "enum": names}] if names else []


def _filters_schema(columns: FilterableColumns) -> Schema:
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
            NULL_SCHEMA,
        ]
    }


def _filter_schema(kind: ColumnType | None) -> Schema:
    value = VALUES[kind] if kind else {"type": ["string", "number", "boolean"]}
    several = {
        "type": "array",
        "items": {"anyOf": [value, NULL_SCHEMA]},
        "maxItems": MAX_VALUES,
    }
    within = {
        "type": "object",
        "properties": dict.fromkeys(BOUNDS, value),
        "additionalProperties": False,
        "minProperties": 1,
    }
    ordered = kind not in ("text", "boolean")
    return {"anyOf": [value, NULL_SCHEMA, several, *([within] if ordered else [])]}


# For the document only: `app.api.middleware.auth` checks the keys.
API_KEYS = [
    Security(HTTPBearer(auto_error=False)),
    Security(APIKeyHeader(name="X-API-Key", auto_error=False)),
]


ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorResponse, "description": "The body cannot be parsed."},
    401: {"model": ErrorResponse, "description": "No API key, or a wrong one."},
    404: {"model": ErrorResponse, "description": "Unknown user."},
    408: {"model": ErrorResponse, "description": "The body did not arrive in time."},
    413: {"model": ErrorResponse, "description": "The body is too large."},
    422: {"model": ErrorResponse, "description": "The request is not valid."},
    429: {"model": ErrorResponse, "description": "The rate limit is reached."},
    503: {"model": ErrorResponse, "description": "Try again after Retry-After."},
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of these error responses."""
    return {status: ERRORS[status] for status in statuses}
