"""Ends connections that outlive their deadline. It does not know why they stall.

A peer that goes silent without closing leaves `recv` waiting through keepalives,
`statement_timeout`, `cancel()` and `close()`. Only shutting the socket down from
another thread makes the blocked call return, so one thread does that.
"""

import heapq
import itertools
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from app.deadline import Deadline

# Statement timeouts end a slow query at the deadline and keep the connection;
# the socket is shut down only when that did not happen.
GRACE_S = 0.5


class Watchdog:
    """One daemon thread, started with the first connection it watches."""

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._watched: list[tuple[float, int]] = []  # heap of (when, ticket)
        self._sockets: dict[int, int] = {}  # ticket -> a descriptor of our own
        self._tickets = itertools.count()
        self._thread: threading.Thread | None = None
        # When the thread looks next, whatever comes: most deadlines lie behind it.
        self._wakes_at = float("inf")
        self._closed = False

    @contextmanager
    def watch(self, descriptor: int, deadline: Deadline) -> Iterator[None]:
        """Shut the socket `descriptor` down if the block outlives the deadline.

        What is shut down is a duplicate: libpq may close its own in the middle of a
        statement, and the system hands that number to the next who opens something.
        """
        own = os.dup(descriptor)
        ticket = self._add(own, deadline)
        try:
            yield
        finally:
            # Under the lock: it is not closed while it is shut down.
            with self._wake:
                self._sockets.pop(ticket, None)
                os.close(own)

    def close(self) -> None:
        """End what is still watched, and the thread: a statement that waits for a
        database which is frozen must not keep the process.
        """
        with self._wake:
            self._closed = True
            for descriptor in self._sockets.values():
                shut_down(descriptor)
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()

    def _add(self, descriptor: int, deadline: Deadline) -> int:
        ticket = next(self._tickets)
        with self._wake:
            self._forget_finished()
            self._sockets[ticket] = descriptor
            heapq.heappush(self._watched, (deadline.at + GRACE_S, ticket))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="watchdog", daemon=True
                )
                self._thread.start()
            if self._watched[0][0] < self._wakes_at:
                self._wake.notify()
        return ticket

    def _run(self) -> None:
        with self._wake:
            while not self._closed:
                self._wake.wait(self._until_next())
                self._shut_down_late()

    def _until_next(self) -> float | None:
        self._forget_finished()
        self._wakes_at = self._watched[0][0] if self._watched else float("inf")
        return Deadline(self._wakes_at).remaining_s() if self._watched else None

    def _forget_finished(self) -> None:
        while self._watched and self._watched[0][1] not in self._sockets:
            heapq.heappop(self._watched)

    def _shut_down_late(self) -> None:
        self._forget_finished()
        while self._watched and Deadline(self._watched[0][0]).remaining_s() == 0.0:
            _, ticket = heapq.heappop(self._watched)
            shut_down(self._sockets.pop(ticket))
            self._forget_finished()


def shut_down(descriptor: int) -> None:
    """Make every blocked call on a socket return at once; the socket stays open."""
    # A duplicate, because closing the socket object must not close libpq's own
    # descriptor under its feet. OSError: the peer was faster.
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)
