"""What is left of a connection when it has ended."""

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from app.api.http_protocol import BoundedHttp

CONNECTIONS = 5
ENDED_WITHIN_S = 30.0


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers /now, and nothing else."""
    message = await receive()
    while scope["path"] != "/now" and message["type"] != "http.disconnect":
        message = await receive()
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def ask(port: int, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    if path == "/now":
        await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()


async def ended_connections(path: str) -> None:
    """Wait until connections with a request each have ended and are freed."""
    config = Config(answer, ws="none", lifespan="off", log_config=None)
    freed = asyncio.Semaphore(0)

    def connection() -> BoundedHttp:
        new = BoundedHttp(config, ServerState(), {})
        weakref.finalize(new, freed.release)
        return new

    loop = asyncio.get_running_loop()
    async with await loop.create_server(connection, "127.0.0.1", 0) as server:
        (listening,) = server.sockets
        port = listening.getsockname()[1]
        await asyncio.gather(*(ask(port, path) for _ in range(CONNECTIONS)))
        async with asyncio.timeout(ENDED_WITHIN_S):
            for _ in range(CONNECTIONS):
                await freed.acquire()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("path", ["/now", "/never"])
def test_an_ended_connection_is_freed_without_the_garbage_collector(path: str) -> None:
    asyncio.run(ended_connections(path))
