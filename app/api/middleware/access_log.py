"""The access log: request ids, one log line and the metrics per request."""

import logging
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.disconnect import ClientDisconnectedError
from app.ops.logs import fields
from app.ops.metrics import Telemetry

log = logging.getLogger("app.request")

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

# nginx's status for a client that closed the connection; it is never sent.
CLIENT_DISCONNECTED = 499


@dataclass
class _Record:
    """One request, as it is logged."""

    request_id: str
    start: float = field(default_factory=time.perf_counter)
    status: int = 0


class AccessLogMiddleware:
    """Log and count each request under its route; outermost of our middleware.

    The path itself is user input: it is not logged, and as a metric's label each path
    would be another time series.
    """

    def __init__(self, app: ASGIApp, *, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = _Record(_request_id(scope))
        scope.setdefault("state", {})["request_id"] = record.request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = record.request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnectedError:
            record.status = CLIENT_DISCONNECTED
        finally:
            self._write(scope, record)

    def _write(self, scope: Scope, record: _Record) -> None:
        seconds = time.perf_counter() - record.start
        status = record.status or CLIENT_DISCONNECTED
        route = _route(scope)
        self._telemetry.request_done(route, status=status, seconds=seconds)
        state: Mapping[str, object] = scope["state"]
        timings = state.get("timings")
        log.log(
            logging.DEBUG if route == "/healthz" else logging.INFO,
            "request",
            extra=fields(
                request_id=record.request_id,
                method=scope["method"] if scope["method"] in METHODS else "other",
                route=route,
                status=status,
                total_ms=round(seconds * 1000, 1),
                encode_ms=_ms(timings, "encode_ms"),
                scan_ms=_ms(timings, "scan_ms"),
                error=state.get("error"),
            ),
        )


METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _route(scope: Scope) -> str:
    """The path of the matching route, even if middleware answered before it."""
    route = scope.get("route") or _match(scope)
    path: str = getattr(route, "path_format", "other")
    return path


def _match(scope: Scope) -> object:
    if not scope["path"]:
        return None  # refused before the request was complete
    path = scope["path"].rstrip("/") or "/"
    for route in _flat(scope["app"].routes):
        if isinstance(route, Route) and route.path_regex.match(path):
            return route
    return None


def _flat(routes: Iterable[object]) -> Iterator[object]:
    """All routes. FastAPI wraps each included router in an object of its own."""
    for route in routes:
        included = getattr(route, "original_router", None)
        yield from [route] if included is None else _flat(included.routes)


def _ms(timings: object, name: str) -> float | None:
    value = getattr(timings, name, None)
    return None if value is None else round(value, 1)
