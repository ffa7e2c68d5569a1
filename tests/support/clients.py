"""Clients that ask a service without pause, and what it answers."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tests.support.service import Service
from tests.support.waiting import be_slow, wait_until

CLIENTS = 8
ANSWERED_WITHIN_S = 30.0
# A client that respects Retry-After would wait longer.
PAUSE_AFTER_503_S = 0.05


@dataclass(frozen=True)
class Reply:
    """One answer; `asked_at` as `time.monotonic()`."""

    asked_at: float
    took_s: float
    status: int
    body: str


class Replies:
    """All answers so far."""

    def __init__(self) -> None:
        self.seen: list[Reply] = []

    def wait_for(self, status: int, *, since: float | None = None) -> float:
        """Seconds from `since`, by default now, until a request that was sent after it
        was answered with this status.
        """
        start = time.monotonic() if since is None else since

        def answered() -> list[float]:
            return [
                reply.asked_at + reply.took_s
                for reply in list(self.seen)
                if reply.asked_at >= start and reply.status == status
            ]

        wait_until(
            lambda: bool(answered()),
            within_s=ANSWERED_WITHIN_S,
            failing=lambda: f"no answer {status} came",
        )
        return min(answered()) - start

    def statuses(self) -> set[int]:
        return {reply.status for reply in self.seen}

    def bodies(self, status: int) -> set[str]:
        """The different answers with this status."""
        return {reply.body for reply in self.seen if reply.status == status}


@contextmanager
def asking(service: Service, question: Mapping[str, object]) -> Iterator[Replies]:
    """CLIENTS ask this until the end of the block."""
    replies, done = Replies(), threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=service.client.base_url, timeout=60) as client:
            while not done.is_set():
                start = time.monotonic()
                found = client.post("/api/recommend", json=question)
                took_s = time.monotonic() - start
                replies.seen.append(Reply(start, took_s, found.status_code, found.text))
                if found.status_code == 503:
                    be_slow(PAUSE_AFTER_503_S)

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield replies
    finally:
        done.set()
        for thread in threads:
            thread.join()
