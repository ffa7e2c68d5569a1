"""Responses without a route: refusals of the HTTP protocol, and unexpected errors.

It runs inside the middleware that sets headers, so these responses have them too.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.disconnect import ClientDisconnectedError
from app.api.errors import error_response
from app.ops.logs import fields

log = logging.getLogger("app.request")

# The key of a Refusal in the scope's state.
REFUSAL = "refusal"


@dataclass(frozen=True)
class Refusal:
    """The response to an invalid HTTP request or to a surplus connection."""

    status: int
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)


class FailureMiddleware:
    """Respond to unexpected errors with 500, and send the protocol's refusals."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal: Refusal | None = scope["state"].get(REFUSAL)
        if refusal is not None:
            response = error_response(
                refusal.status, refusal.detail, dict(refusal.headers)
            )
            await response(scope, receive, send)
            return
        started = False

        async def send_tracked(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, send_tracked)
        except ClientDisconnectedError:
            raise
        except Exception:
            request_id = scope["state"].get("request_id")
            log.exception("unexpected error", extra=fields(request_id=request_id))
            if started:
                raise  # the server closes the connection
            response = error_response(
                500, "Something broke inside the service; its log has the details."
            )
            await response(scope, receive, send)
