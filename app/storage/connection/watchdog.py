"""Shuts down connections that exceed their deadline.

If a peer stops responding without closing, `recv` blocks despite keepalives,
`statement_timeout`, `cancel()` and `close()`. Only shutting the socket down from
another thread makes the blocked call return.
"""

import heapq
import itertools
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from app.deadline import Deadline

# Statement timeouts end a slow query at the deadline and keep the connection. The
# socket is shut down only if that has not worked.
GRACE_S = 0.5


class Watchdog:
    """A daemon thread that shuts sockets down, started with the first one."""

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._watched: list[tuple[float, int]] = []  # heap of (time, key)
        self._sockets: dict[int, int] = {}  # key -> duplicate descriptor
        self._keys = itertools.count()
        self._thread: threading.Thread | None = None
        # The next time the thread wakes. Only an earlier deadline must notify it.
        self._wakes_at = float("inf")
        self._closed = False

    @contextmanager
    def watch(self, descriptor: int, deadline: Deadline) -> Iterator[None]:
        """Shut the socket `descriptor` down if the block exceeds the deadline.

        It uses a duplicate descriptor: libpq may close its own during a statement, and
        the system may reuse that number for another file.
        """
        duplicate = os.dup(descriptor)
        key = self._add(duplicate, deadline)
        try:
            yield
        finally:
            # Under the lock, so that the thread does not use a closed descriptor.
            with self._wake:
                self._sockets.pop(key, None)
                os.close(duplicate)

    def close(self) -> None:
        """Shut down all watched sockets and end the thread.

        A statement that waits for an unresponsive database must not block the exit.
        """
        with self._wake:
            self._closed = True
            for descriptor in self._sockets.values():
                shut_down(descriptor)
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()

    def _add(self, descriptor: int, deadline: Deadline) -> int:
        key = next(self._keys)
        with self._wake:
            self._forget_finished()
            self._sockets[key] = descriptor
            heapq.heappush(self._watched, (deadline.at + GRACE_S, key))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="watchdog", daemon=True
                )
                self._thread.start()
            if self._watched[0][0] < self._wakes_at:
                self._wake.notify()
        return key

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
            _, key = heapq.heappop(self._watched)
            shut_down(self._sockets.pop(key))
            self._forget_finished()


def shut_down(descriptor: int) -> None:
    """Make every blocked call on a socket return; the descriptor stays open."""
    # A duplicate, because closing the socket object must not close libpq's own
    # descriptor. OSError: the connection has been closed already.
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)
