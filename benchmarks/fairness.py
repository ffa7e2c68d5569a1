"""One client beside clients with expensive requests, and beside hostile connections.

`python -m benchmarks.fairness`, some eight minutes with two checkouts. `--beside
NAME=FOLDER` measures other checkouts in the same run, alternating with this one. Each
gets its own database, filled by its own scripts. Prints a table in Markdown.
"""

import argparse
import asyncio
import itertools
import json
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.checkouts import USERS, filled, service
from benchmarks.load import Load, response_of
from benchmarks.servers import ROOT, Running
from benchmarks.tables import bench_server

SECONDS = 10.0
ROUNDS = 2
HOSTILE = 200

Body = Callable[[int], dict[str, Any]]


@dataclass(frozen=True)
class Ask:
    """The request that a client repeats."""

    path: str
    body: Body


def stored_user(number: int) -> dict[str, Any]:
    return {"user_id": 1 + number % USERS, "top_n": 10}


def new_skills(_: int) -> dict[str, Any]:
    """64 new skills."""
    skills = (uuid.uuid4().hex[:12] for _ in range(64))
    return {"skills": ", ".join(skills), "rank_by": "skills", "top_n": 10}


def sixty_four_users(number: int) -> dict[str, Any]:
    return {"user_ids": [1 + (number + n) % USERS for n in range(64)], "top_n": 10}


ONE = Ask("/api/recommend", stored_user)
NEW_SKILLS = Ask("/api/recommend", new_skills)
BATCHES = Ask("/api/recommend/batch", sixty_four_users)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beside", action="append", default=[], metavar="NAME=FOLDER")
    given = [each.split("=", 1) for each in parser.parse_args().beside]
    checkouts = {name: Path(folder) for name, folder in given} | {"now": ROOT}
    with bench_server() as server:
        urls = {name: filled(server, name, at) for name, at in checkouts.items()}
        for title, measure in MEASURES.items():
            print(f"\n### {title}\n")
            for turn in range(ROUNDS):
                for name, folder in checkouts.items():
                    with warm_service(folder, urls[name]) as running:
                        print(f"| {name} {turn + 1} | {measure(running)} |", flush=True)
    return 0


def quiet(running: Running) -> str:
    return described(asyncio.run(beside(running.port, None)))


def beside_new_skills(running: Running) -> str:
    return described(asyncio.run(beside(running.port, NEW_SKILLS)))


def beside_batches(running: Running) -> str:
    return described(asyncio.run(beside(running.port, BATCHES)))


def described(load: Load) -> str:
    return (
        f"median {load.percentile_ms(50):.0f} ms, p95 {load.percentile_ms(95):.0f} ms,"
        f" {len(load.latencies_s)} answers, statuses {load.statuses}"
    )


async def beside(port: int, others: Ask | None) -> Load:
    """One client requests stored users while eight others repeat their requests."""
    mine, theirs = Load(), Load()
    until = time.perf_counter() + SECONDS
    eight = [asking(port, others, theirs, until) for _ in range(8)] if others else []
    await asyncio.gather(asking(port, ONE, mine, until), *eight)
    return mine


async def asking(port: int, ask: Ask, load: Load, until: float) -> None:
    """A client that sends its next request after each response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in itertools.count():
        if time.perf_counter() > until:
            break
        sent = time.perf_counter()
        writer.write(request(ask.path, ask.body(number)))
        status, _ = await response_of(reader)
        load.latencies_s.append(time.perf_counter() - sent)
        load.statuses[status] = load.statuses.get(status, 0) + 1
    writer.close()


def request(path: str, body: dict[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def health_beside_bodies(running: Running) -> str:
    """250 concurrent requests of 50 KB, each with different filters."""
    found = asyncio.run(_health_beside_bodies(running.port))
    return f"median {np.median(found):.0f} ms, p99 {np.percentile(found, 99):.0f} ms"


async def _health_beside_bodies(port: int) -> list[float]:
    waits: list[float] = []
    done = asyncio.Event()

    async def health() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not done.is_set():
            sent = time.perf_counter()
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await response_of(reader)
            waits.append((time.perf_counter() - sent) * 1000)
            await asyncio.sleep(0.002)
        writer.close()

    probing = asyncio.create_task(health())
    bodies = [request("/api/recommend", many_filters(n)) for n in range(250)]
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in bodies]
    await asyncio.sleep(0.5)
    waits.clear()
    for (_, writer), body in zip(opened, bodies, strict=True):
        writer.write(body)
    await asyncio.gather(*(response_of(reader) for reader, _ in opened))
    done.set()
    await probing
    for _, writer in opened:
        writer.close()
    return waits


def many_filters(number: int) -> dict[str, Any]:
    values = [f"{number:04}-{value:04}-{'x' * 38}" for value in range(1000)]
    return {"user_id": 1, "filters": {"location": values}}


def hostile(running: Running) -> str:
    """After 15 s with 200 clients that send a body slowly, and 200 that never read."""
    return asyncio.run(_hostile(running))


async def _hostile(running: Running) -> str:
    process = psutil.Process(running.pid)
    before = running.memory().anon_mb
    asked = request("/api/recommend", stored_user(0) | {"top_n": 100})
    slow = asked[:-2].replace(b"Content-Length: ", b"Content-Length: 9")
    writers = [
        (await asyncio.open_connection("127.0.0.1", running.port, limit=4096))[1]
        for _ in range(2 * HOSTILE)
    ]
    for writer in writers[HOSTILE:]:
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # of sockets
        writer.write(asked * 4)
    until = time.perf_counter() + 15
    for writer in writers[:HOSTILE]:
        writer.write(slow)
    while time.perf_counter() < until:
        await asyncio.sleep(1)
        for writer in writers[:HOSTILE]:
            writer.write(b" ")
    left = sum(c.status == "ESTABLISHED" for c in process.net_connections())
    after = running.memory().anon_mb
    for writer in writers:
        writer.transport.abort()
    return f"{left} connections open, RssAnon {before:.0f} to {after:.0f} MB"


def ordinary(running: Running) -> str:
    """64 clients that request stored users."""
    load = asyncio.run(_ordinary(running.port))
    return (
        f"{load.per_second:.0f} a second, RssAnon {running.memory().anon_mb:.1f} MB,"
        f" healthy after {running.healthy_s:.2f} s, statuses {load.statuses}"
    )


async def _ordinary(port: int) -> Load:
    load, start = Load(), time.perf_counter()
    until = start + SECONDS
    clients: list[Awaitable[None]] = [asking(port, ONE, load, until) for _ in range(64)]
    await asyncio.gather(*clients)
    load.took_s = time.perf_counter() - start
    return load


MEASURES: dict[str, Callable[[Running], str]] = {
    "One client of stored users, alone": quiet,
    "Beside eight clients of 64 new skills each": beside_new_skills,
    "Beside eight loops of batches of 64": beside_batches,
    "/healthz beside 250 bodies of 50 KB": health_beside_bodies,
    "200 slow senders, 200 that never read": hostile,
    "64 ordinary clients": ordinary,
}


@contextmanager
def warm_service(folder: Path, url: str) -> Iterator[Running]:
    """It has loaded the model, the catalogue and the vocabulary."""
    with service(folder, url) as running:
        for ask in (ONE, NEW_SKILLS):
            asyncio.run(asking(running.port, ask, Load(), time.perf_counter() + 0.2))
        yield running


if __name__ == "__main__":
    sys.exit(main())
