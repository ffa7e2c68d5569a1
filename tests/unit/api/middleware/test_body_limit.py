"""One large body per round of the event loop."""

import asyncio
from collections.abc import Awaitable

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.api.middleware.body_limit import SMALL_BYTES, BodyLimitMiddleware

BODIES = 250


class Parser:
    """An application that parses without yielding, as FastAPI does."""

    def __init__(self) -> None:
        self.rounds = 0
        self.parsed: list[int] = []

    async def __call__(self, _scope: Scope, receive: Receive, _send: Send) -> None:
        assert (await receive())["body"]
        self.parsed.append(self.rounds)

    async def count_rounds(self) -> None:
        """Count rounds of the loop, as a health check needs them."""
        while len(self.parsed) < BODIES:
            await asyncio.sleep(0)
            self.rounds += 1


def asking(middleware: BodyLimitMiddleware, size: int) -> Awaitable[None]:
    async def receive() -> Message:
        return {"type": "http.request", "body": b" " * size}

    async def send(_message: Message) -> None:
        raise AssertionError

    return middleware({"type": "http", "headers": []}, receive, send)


@pytest.mark.parametrize("size", [SMALL_BYTES + 1, 50_000])
def test_f126_between_two_large_bodies_others_have_their_turn(size: int) -> None:
    parser = Parser()

    async def story() -> None:
        middleware = BodyLimitMiddleware(parser, timeout_s=60)
        waiting = (asking(middleware, size) for _ in range(BODIES))
        await asyncio.gather(parser.count_rounds(), *waiting)

    asyncio.run(story())
    assert len(set(parser.parsed)) == BODIES
