"""Errors to JSON: one handler for each family, none of which echoes the input.

What is no error of ours is answered by `app.api.middleware.access_log`.
"""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.errors import AppError, RateLimitedError, UnavailableError


def add_error_handlers(app: FastAPI) -> None:
    """Make every error a `{"success": false, "detail": …}`."""
    app.add_exception_handler(AppError, _on_app_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)


def error_response(
    status: int, detail: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """The JSON of an error."""
    return JSONResponse(
        {"success": False, "detail": detail}, status_code=status, headers=headers
    )


async def _on_app_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AppError)  # noqa: S101  (registered for this class)
    headers = {}
    if isinstance(error, UnavailableError | RateLimitedError):
        headers["Retry-After"] = str(error.retry_after_s)
    # For the request's log line: the class and our own sentence; the chain may hold
    # an address or a name.
    request.state.error = f"{type(error).__name__}: {error}"
    return error_response(error.status, str(error), headers)


async def _on_http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101  (registered for this class)
    return error_response(
        error.status_code, f"{error.detail}.", dict(error.headers or {})
    )


async def _on_invalid_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  (registered so)
    return error_response(422, describe(error.errors()))


def describe(faults: Sequence[dict[str, Any]]) -> str:
    """One sentence for a list of Pydantic's errors, without the input.

    >>> describe([{"type": "missing", "loc": ("body",), "msg": "Field required"}])
    'The request is not valid: body: field required.'
    """
    reasons = dict.fromkeys(_reason(fault) for fault in faults)
    return f"The request is not valid: {'; '.join(reasons)}."


def _reason(fault: dict[str, Any]) -> str:
    if fault["type"] == "json_invalid":
        return "the body is not JSON"
    if fault["type"] == "extra_forbidden":
        # The name of an unknown field is input too.
        return "the body has a field that is not known"
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    # For a union Pydantic appends the name of the branch: the field comes first.
    names = [part for part in fault["loc"] if isinstance(part, str)]
    name = ".".join(names[1:2] or names[:1])
    message = message[:1].lower() + message[1:]
    return message if name == "body" and len(names) == 1 else f"{name} {message}"
