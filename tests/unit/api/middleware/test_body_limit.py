"""Bodies are read whole, within a limit and a time, one large one per round."""

import asyncio
import json
from collections.abc import Awaitable, Sequence

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.api.middleware.body_limit import (
    LIMIT_BYTES,
    SMALL_BYTES,
    BodyLimitMiddleware,
)

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


class Application:
    """Reads its body and one message more."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.read: list[Message] = []

    async def __call__(self, scope: Scope, receive: Receive, _send: Send) -> None:
        self.scopes.append(scope)
        self.read += [await receive(), await receive()]


def asked(
    app: Application,
    *messages: Message,
    kind: str = "http",
    headers: Sequence[tuple[bytes, bytes]] = (),
    timeout_s: float = 60.0,
) -> list[Message]:
    """What is sent back where these messages arrive, and then no others."""
    left = list(messages)
    sent: list[Message] = []

    async def receive() -> Message:
        return left.pop(0) if left else await asyncio.Future()

    async def send(message: Message) -> None:
        sent.append(message)

    middleware = BodyLimitMiddleware(app, timeout_s=timeout_s)
    scope = {"type": kind, "headers": headers, "method": "POST"}
    asyncio.run(middleware(scope, receive, send))
    return sent


def part(body: bytes | None, *, more: bool | None) -> Message:
    message: Message = {"type": "http.request"}
    if body is not None:
        message["body"] = body
    if more is not None:
        message["more_body"] = more
    return message


GONE: Message = {"type": "http.disconnect"}


def test_a_body_in_parts_arrives_as_one_and_then_what_comes_next() -> None:
    app = Application()
    parts = [part(b"ab", more=True), part(None, more=True), part(b"c", more=None)]
    assert asked(app, *parts, GONE) == []
    whole = {"type": "http.request", "body": b"abc", "more_body": False}
    assert app.read == [whole, GONE]
    assert app.scopes[0]["method"] == "POST"


def test_what_is_no_request_passes_through() -> None:
    app = Application()
    start, stop = {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}
    assert asked(app, start, stop, kind="lifespan") == []
    assert app.read == [start, stop]


def test_a_client_that_left_is_answered_by_nobody() -> None:
    app = Application()
    assert asked(app, part(b"ab", more=True), GONE) == []
    assert app.scopes == []


def refusal(sent: list[Message]) -> tuple[int, str]:
    start, body = sent
    assert (b"connection", b"close") in start["headers"]
    return start["status"], json.loads(body["body"])["detail"]


@pytest.mark.parametrize(
    ("headers", "parts"),
    [
        ([(b"content-length", b"%d" % (LIMIT_BYTES + 1))], []),
        ([], [part(b" " * LIMIT_BYTES, more=True), part(b" ", more=False)]),
    ],
    ids=["announced", "arrived"],
)
def test_a_body_beyond_the_limit_is_refused(
    headers: Sequence[tuple[bytes, bytes]], parts: Sequence[Message]
) -> None:
    app = Application()
    sent = asked(app, *parts, headers=headers)
    assert refusal(sent) == (413, f"The body is larger than {LIMIT_BYTES} bytes.")
    assert app.scopes == []


def test_a_body_of_the_limit_is_taken() -> None:
    app = Application()
    length = b"%d" % LIMIT_BYTES
    parts = [part(b" " * LIMIT_BYTES, more=False), GONE]
    assert asked(app, *parts, headers=[(b"content-length", length)]) == []
    assert len(app.read[0]["body"]) == LIMIT_BYTES


def test_a_body_that_does_not_arrive_is_refused_at_its_time() -> None:
    app = Application()
    sent = asked(app, part(b"a", more=True), timeout_s=0.25)
    assert refusal(sent) == (408, "The body did not arrive in 0.25 s.")
    assert app.scopes == []
