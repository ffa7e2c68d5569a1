"""A closed loop of clients over plain asyncio, with little CPU time per request."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Load:
    """The seconds and statuses of the requests of a loop, and its duration."""

    latencies_s: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    took_s: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.latencies_s) / self.took_s if self.took_s else 0.0

    def all_answered(self) -> "Load":
        """This load; raises RuntimeError if a status is not 200."""
        if set(self.statuses) != {200}:
            raise RuntimeError(f"not every request was answered: {self.statuses}")
        return self

    def percentile_ms(self, percent: float) -> float:
        return float(np.percentile(self.latencies_s, percent)) * 1000

    def summary(self) -> dict[str, Any]:
        """Plain numbers for a JSON file."""
        return {
            "p50_ms": self.percentile_ms(50),
            "p95_ms": self.percentile_ms(95),
            "p99_ms": self.percentile_ms(99),
            "per_second": self.per_second,
            "requests": len(self.latencies_s),
            "statuses": self.statuses,
        }

    def merge(self, other: "Load") -> None:
        """Add another loop of the same kind, run after this one."""
        self.latencies_s += other.latencies_s
        self.took_s += other.took_s
        for status, count in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count


def closed_loop(
    port: int,
    bodies: Callable[[int], dict[str, Any]],
    *,
    clients: int,
    requests: int | None = None,
    seconds: float = 60.0,
    check: Callable[[dict[str, Any], dict[str, Any]], None] | None = None,
) -> Load:
    """Each client sends its next request after each response.

    `bodies` returns the n-th request; `check` gets each request with its 200 response.
    Ends after `requests` or `seconds`, whichever comes first.
    """
    return asyncio.run(
        _loop(
            port,
            bodies,
            clients=clients,
            requests=requests,
            seconds=seconds,
            check=check,
        )
    )


async def _loop(
    port: int,
    bodies: Callable[[int], dict[str, Any]],
    *,
    clients: int,
    requests: int | None,
    seconds: float,
    check: Callable[[dict[str, Any], dict[str, Any]], None] | None,
) -> Load:
    load = Load()
    numbers = iter(range(requests if requests is not None else 10**9))
    start = time.perf_counter()

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            if time.perf_counter() - start > seconds:
                break
            body = bodies(number)
            sent = time.perf_counter()
            writer.write(_request(body))
            status, answer = await response_of(reader)
            load.latencies_s.append(time.perf_counter() - sent)
            load.statuses[status] = load.statuses.get(status, 0) + 1
            if check is not None and status == 200:
                check(body, json.loads(answer))
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    load.took_s = time.perf_counter() - start
    return load


def _request(body: dict[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    head = (
        "POST /api/recommend HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def response_of(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
    body = await reader.readexactly(int(headers["content-length"]))
    return int(lines[0].split()[1]), body
