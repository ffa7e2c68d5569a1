"""Notices that a client left, so that nobody works for a closed connection."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

T = TypeVar("T")


class ClientGoneError(Exception):
    """The client closed the connection; there is nobody to answer."""


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the client leaves first.

    Raises ClientGoneError then. The body of the request must have been read.
    """
    asking = asyncio.current_task()
    assert asking is not None  # noqa: S101  (a coroutine runs in a task)
    leaving = asyncio.ensure_future(_leaves(request))
    waits = True

    def give_up(_: object) -> None:
        if waits:
            asking.cancel()

    leaving.add_done_callback(give_up)
    try:
        return await work
    except asyncio.CancelledError:
        if leaving.done():
            asking.uncancel()
            raise ClientGoneError from None
        raise
    finally:
        waits = False
        leaving.cancel()


async def _leaves(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
