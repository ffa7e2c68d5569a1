"""Document the error statuses of each operation in OpenAPI."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from app.api.errors import PROBLEM_JSON
from app.api.middleware.auth import is_open

# Sent by the protocol or by middleware, for any path.
ALWAYS = {
    400: "The request is not valid HTTP, or its body cannot be parsed.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    500: "Something broke inside the service; its log has the details.",
    503: "The service cannot answer now; try again after Retry-After.",
}
WITH_KEYS = {
    401: "API keys are set, and the request has no valid key.",
    429: "The API key has reached its rate limit; try again after Retry-After.",
}
ERROR_SCHEMA = {"$ref": "#/components/schemas/ErrorResponse"}


def document_errors(app: FastAPI) -> None:
    """Add the statuses to each operation, with and without API keys."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        document = original()
        # Without API keys and for health checks: no security, said explicitly.
        document.setdefault("security", [])
        for path, operations in document["paths"].items():
            possible = ALWAYS if is_open(path) else ALWAYS | WITH_KEYS
            for operation in operations.values():
                _add(operation["responses"], possible)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's manual has it


def _add(responses: dict[str, Any], possible: dict[int, str]) -> None:
    for status, description in possible.items():
        responses.setdefault(str(status), {"description": description})
    for code, response in responses.items():
        if int(code) >= HTTPStatus.BAD_REQUEST:
            response["content"] = {PROBLEM_JSON: {"schema": ERROR_SCHEMA}}
