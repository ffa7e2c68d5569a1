"""Cancel the work for a request when its client disconnects."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

Worked = TypeVar("Worked")


class ClientDisconnectedError(Exception):
    """The client closed the connection before the response."""


async def cancel_on_disconnect(
    request: Request, work: Coroutine[Any, Any, Worked]
) -> Worked:
    """Await `work`, and cancel it if the client disconnects first.

    Raises ClientDisconnectedError in that case. Read the request's body before.
    """
    working = asyncio.ensure_future(work)
    disconnecting = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait(
            {working, disconnecting}, return_when=asyncio.FIRST_COMPLETED
        )
        if not working.done():
            raise ClientDisconnectedError
        return await working
    finally:
        working.cancel()
        disconnecting.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
