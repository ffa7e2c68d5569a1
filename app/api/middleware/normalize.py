"""Normalize methods and paths before routing."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class NormalizeMiddleware:
    """Serve HEAD as GET without the body, and ignore a trailing slash.

    A redirect to the path without the slash would need the scheme, which a service
    behind a proxy knows only if it trusts that proxy.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path.endswith("/") and path != "/":
            scope["path"] = path.rstrip("/") or "/"
        if scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        # A copy of the scope: the server needs the original HEAD to omit the body.
        await self._app({**scope, "method": "GET"}, receive, send_head)
