"""Read request bodies before the application, with limits of size and time."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import error_response

LIMIT_BYTES = 64 * 1024
CLOSE = {"Connection": "close"}

# A larger body takes milliseconds to parse, on the event loop that serves `/healthz`.
SMALL_BYTES = 4 * 1024


class BodyTooLargeError(Exception):
    """The announced or the received body exceeds the limit."""


class BodyLimitMiddleware:
    """Respond with 413 to a body beyond 64 KB, and with 408 to a slow one.

    FastAPI itself limits neither the size of a body nor the time to read it.
    """

    def __init__(self, app: ASGIApp, *, timeout_s: float) -> None:
        self._app = app
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await _read(scope, receive)
        except BodyTooLargeError:
            # The rest of the body stays unread, so the connection is closed.
            refusal = error_response(
                413, f"The body is larger than {LIMIT_BYTES} bytes.", CLOSE
            )
            await refusal(scope, receive, send)
        except TimeoutError:
            refusal = error_response(
                408, f"The body did not arrive in {self._timeout_s:g} s.", CLOSE
            )
            await refusal(scope, receive, send)
        else:
            if body is not None:
                if len(body) > SMALL_BYTES:
                    await self._take_turn()
                await self._app(scope, _replay(body, receive), send)

    async def _take_turn(self) -> None:
        """Allow one large body per round of the event loop, so that others run between.

        The lock wakes the next body, which runs in the round after this one is parsed.
        """
        async with self._turn:
            await asyncio.sleep(0)


async def _read(scope: Scope, receive: Receive) -> bytes | None:
    """The whole body, or None if the client disconnected."""
    if _announced(scope) > LIMIT_BYTES:
        raise BodyTooLargeError
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > LIMIT_BYTES:
            raise BodyTooLargeError
        if not message.get("more_body", False):
            return bytes(body)


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
    return 0


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def receive_again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
