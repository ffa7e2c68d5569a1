"""Refuses callers before their body is read: 401 without a key, 429 too often."""

from functools import partial

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.errors import error_response
from app.api.middleware.api_keys import ApiKeys, TokenBuckets
from app.batching.caller import CALLER, Caller
from app.errors import RateLimitedError

# Everything else needs a key once keys are set, what does not exist included: a new
# route is closed unless somebody opens it here. A host's health check sends no key.
OPEN_PATHS = frozenset({"/", "/healthz", "/docs", "/openapi.json"})
OPEN_FOLDER = "/static/"

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="job recommendations"'}


class AuthMiddleware:
    """ASGI middleware that lets known keys through, each at its own rate.

    Rates are per key only: behind a host's proxy all strangers share one address.
    Shares of the queue are per key, too, and without keys per connection, or per
    address where a trusted proxy names it.
    """

    def __init__(
        self, app: ASGIApp, *, keys: ApiKeys, buckets: TokenBuckets | None
    ) -> None:
        """Without keys everyone may ask."""
        self._app = app
        self._keys = keys
        self._buckets = buckets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        if not self._keys:
            CALLER.set(Caller(scope.get("client")))
            await self._app(scope, receive, send)
            return
        key = self._keys.find(_presented(scope))
        if key is None:
            answer = error_response(
                401,
                "A valid API key is needed, as `Authorization: Bearer …` or"
                " `X-API-Key: …`.",
                CHALLENGE,
            )
            await answer(scope, receive, send)
            return
        charge = partial(self._charge, key)
        try:
            charge(units=1, paid=0)
        except RateLimitedError as error:
            headers = {"Retry-After": str(error.retry_after_s)}
            await error_response(429, str(error), headers)(scope, receive, send)
            return
        CALLER.set(Caller(key, charge))
        await self._app(scope, receive, send)

    def _charge(self, key: bytes, *, units: int, paid: int) -> None:
        """Raises RateLimitedError."""
        if self._buckets is None:
            return
        if wait_s := self._buckets.wait_s(key, units, paid=paid):
            raise RateLimitedError(wait_s)


def is_open(path: str) -> bool:
    """Whether a path needs no key."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)


def _presented(scope: Scope) -> bytes:
    headers = HTTPConnection(scope).headers
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip().encode("latin-1")
    return headers.get("x-api-key", "").strip().encode("latin-1")
