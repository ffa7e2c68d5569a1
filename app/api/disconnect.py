"""Notices that a client left, so that nobody works for a closed connection."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

Worked = TypeVar("Worked")


class ClientDisconnectedError(Exception):
    """The client closed the connection; there is nobody to answer."""


async def cancel_on_disconnect(
    request: Request, work: Coroutine[Any, Any, Worked]
) -> Worked:
    """The result of `work`, which is cancelled when the client leaves first.

    Raises ClientDisconnectedError then. The body of the request must have been read.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_leaves(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnectedError
        return await working
    finally:
        working.cancel()
        leaving.cancel()


async def _leaves(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
