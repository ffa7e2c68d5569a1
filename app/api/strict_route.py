"""Routes that refuse what would be ignored: repeated names, unknown parameters."""

import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from app.api.openapi import API_KEYS
from app.api.validation import NAME_TWICE, NOT_VALID
from app.errors import InvalidInputError

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRequest(Request):
    """A request whose JSON may have each name of an object only once.

    Python's parser keeps the last of several, other parsers the first (RFC 8259,
    section 4).
    """

    async def json(self) -> Any:
        """Raises JSONDecodeError, also for a repeated name."""
        return json.loads(await self.body(), object_pairs_hook=_unique)


class StrictRoute(APIRoute):
    """A route of the API; its documented parameters are all that it takes."""

    def get_route_handler(self) -> Handler:
        """As FastAPI's manual has it for another class of requests."""
        handle = super().get_route_handler()
        parameters = [field.alias for field in self.dependant.query_params]

        async def handle_strictly(request: Request) -> Response:
            _check_parameters(request, parameters)
            return await handle(StrictRequest(request.scope, request.receive))

        return handle_strictly


def api_router(tag: str, *, needs_key: bool) -> APIRouter:
    """A router with this tag, of strict routes."""
    keys = API_KEYS if needs_key else []
    return APIRouter(route_class=StrictRoute, dependencies=keys, tags=[tag])


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) < len(pairs):
        raise json.JSONDecodeError(NAME_TWICE, "", 0)
    return named


def _check_parameters(request: Request, known: Sequence[str]) -> None:
    """Raises InvalidInputError for an unknown or a repeated parameter of the URL."""
    given = [name for name, _ in request.query_params.multi_items()]
    if any(name not in known for name in given):
        raise InvalidInputError(
            f"{NOT_VALID}: the URL has an unknown parameter; here it may have"
            f" {', '.join(known) or 'none'}."
        )
    if len(set(given)) < len(given):
        raise InvalidInputError(f"{NOT_VALID}: the URL has a parameter twice.")
