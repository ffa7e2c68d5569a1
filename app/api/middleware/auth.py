"""API-key authentication and rate limits, applied before the body is read."""

from functools import partial

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.errors import error_response
from app.api.middleware.api_keys import ApiKeys, TokenBuckets
from app.batching.caller import CALLER, Caller
from app.errors import RateLimitedError

# If keys are set, all other paths need one, even unknown paths: a new route is closed
# by default. Health checks of hosts send no key.
OPEN_PATHS = frozenset({"/", "/healthz", "/docs", "/openapi.json"})
OPEN_FOLDER = "/static/"

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="job recommendations"'}


class AuthMiddleware:
    """Require a known API key, and limit the rate of each key.

    Rates are per key, never per address: behind a host's proxy all clients share one
    address. Queue shares are per key as well; without keys they are per connection, or
    per address if a trusted proxy sends it.
    """

    def __init__(
        self, app: ASGIApp, *, keys: ApiKeys, buckets: TokenBuckets | None
    ) -> None:
        """Without `keys` every request passes; without `buckets` no rate is limited."""
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
            response = error_response(
                401,
                "A valid API key is needed, as `Authorization: Bearer …` or"
                " `X-API-Key: …`.",
                CHALLENGE,
            )
            await response(scope, receive, send)
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
