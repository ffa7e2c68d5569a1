"""Answers what no route answers: refusals of the protocol, and crashes.

It stands inside the middleware that sets headers, so that these answers carry them too.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.disconnect import ClientDisconnectedError
from app.api.errors import error_response
from app.ops.logs import fields

log = logging.getLogger("app.request")

# The name in a scope's state of what the protocol refuses.
REFUSAL = "refusal"


@dataclass(frozen=True)
class Refusal:
    """What is answered to bytes that are no request."""

    status: int
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)


class FailureMiddleware:
    """ASGI middleware: a crash becomes a 500, a refusal its own answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal: Refusal | None = scope["state"].get(REFUSAL)
        if refusal is not None:
            answer = error_response(
                refusal.status, refusal.detail, dict(refusal.headers)
            )
            await answer(scope, receive, send)
            return
        begun = False

        async def send_noticed(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_noticed)
        except ClientDisconnectedError:
            raise
        except Exception:
            request_id = scope["state"].get("request_id")
            log.exception("unexpected error", extra=fields(request_id=request_id))
            if begun:
                raise  # the server closes the connection
            answer = error_response(
                500, "Something broke inside the service; its log has the details."
            )
            await answer(scope, receive, send)
