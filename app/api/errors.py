"""Exception handlers that return errors as JSON and never echo the input.

`app.api.middleware.failures` handles all other exceptions.
"""

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.api.validation import describe, describe_http
from app.errors import AppError, RateLimitedError, UnavailableError

PROBLEM_JSON = "application/problem+json"


def add_error_handlers(app: FastAPI) -> None:
    """Return every error as `{"success": false, "detail": …, "status": …}`."""
    app.add_exception_handler(AppError, _on_app_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)


def error_response(
    status: int, detail: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """The JSON response of an error."""
    return JSONResponse(
        error_body(status, detail),
        status_code=status,
        headers=headers,
        media_type=PROBLEM_JSON,
    )


def error_body(status: int, detail: str) -> dict[str, bool | int | str]:
    """An error as RFC 9457 has it, and `success`."""
    return {
        "success": False,
        "detail": detail,
        "status": status,
        "title": HTTPStatus(status).phrase,
        "type": "about:blank",
    }


async def _on_app_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AppError)  # noqa: S101  (registered for this class)
    headers = {}
    if isinstance(error, UnavailableError | RateLimitedError):
        headers["Retry-After"] = str(error.retry_after_s)
    # Logged with the request: the class and our own message. The exception's cause may
    # contain an address or a name.
    request.state.error = f"{type(error).__name__}: {error}"
    return error_response(error.status, str(error), headers)


async def _on_http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101  (registered for this class)
    return error_response(
        error.status_code, describe_http(error), dict(error.headers or {})
    )


async def _on_invalid_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  (registered so)
    return error_response(422, describe(error.errors()))
