"""Refuses callers before their body is read: 401 without a key, 429 too often."""

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.errors import error_response
from app.api.middleware.api_keys import ApiKeys, TokenBuckets

# Everything else needs a key once keys are set, what does not exist included: a new
# route is closed unless somebody opens it here. A host's health check sends no key.
OPEN_PATHS = frozenset({"/", "/healthz", "/docs", "/openapi.json"})
OPEN_FOLDER = "/static/"

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="job recommendations"'}


class AuthMiddleware:
    """ASGI middleware that lets known keys through, each at its own rate.

    Rates are per key only: behind a host's proxy all strangers share one address,
    so a service without keys is bounded by its line of waiting requests instead.
    """

    def __init__(
        self, app: ASGIApp, *, keys: ApiKeys, buckets: TokenBuckets | None
    ) -> None:
        self._app = app
        self._keys = keys
        self._buckets = buckets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        caller = self._keys.find(_presented(scope))
        if caller is None:
            answer = error_response(
                401,
                "A valid API key is needed, as `Authorization: Bearer …` or"
                " `X-API-Key: …`.",
                CHALLENGE,
            )
        elif self._buckets and (wait_s := self._buckets.wait_s(caller)):
            answer = error_response(
                429,
                f"This key has used up its requests; try again in {wait_s} s.",
                {"Retry-After": str(wait_s)},
            )
        else:
            await self._app(scope, receive, send)
            return
        await answer(scope, receive, send)


def is_open(path: str) -> bool:
    """Whether a path needs no key."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)


def _presented(scope: Scope) -> bytes:
    headers = HTTPConnection(scope).headers
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip().encode("latin-1")
    return headers.get("x-api-key", "").strip().encode("latin-1")
