"""A TCP proxy in front of Postgres that can refuse, reset, stall and slow down."""

import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.waiting import be_slow

CHUNK_BYTES = 16 * 1024
POLL_MS = 20
# SO_LINGER with zero seconds: close() sends RST instead of FIN.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards a local port to a unix socket, with faults.

    Faults start at once, or after `after_bytes` from the database, to place them in the
    middle of a scan. `restore()` ends any fault.
    """

    def __init__(self, upstream: Path) -> None:
        self._upstream = str(upstream)
        self._flowing = threading.Event()
        self._flowing.set()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._trap: tuple[int, Callable[[], None]] | None = None
        self._pause_s = 0.0
        self.sprung = threading.Event()
        self.downstream_bytes = 0
        self.upstream_messages = 0
        self._listener: socket.socket | None = None
        self.port = 0
        self._listen()

    def url(self, database: str, *, user: str = "postgres", password: str = "") -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def refuse(self) -> None:
        """Close the port and all connections."""
        self._close_listener()
        self.cut()

    def cut(self) -> None:
        """Close every connection, as a server does when it stops."""
        for each in self._taken():
            _close(each)

    def reset(self) -> None:
        """Reset every connection."""
        for each in self._taken():
            with suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            _close(each)

    def stall(self) -> None:
        """Forward nothing and close nothing; new connections get no response either."""
        self._flowing.clear()

    def slow(self, pause_s: float) -> None:
        """Wait for this time before each 16 KB."""
        self._pause_s = pause_s

    def after_bytes(self, count: int, fault: Callable[[], None]) -> None:
        """Arm `fault`; `sprung` is set when it happens."""
        with self._lock:
            self.sprung.clear()
            self._trap = (self.downstream_bytes + count, fault)

    def restore(self) -> None:
        """End all faults. Stalled connections are closed."""
        self._trap = None
        self._pause_s = 0.0
        if not self._flowing.is_set():
            self.cut()
            self._flowing.set()
        if self._listener is None:
            self._listen()

    def close(self) -> None:
        self._close_listener()
        self._flowing.set()
        self.cut()

    def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(128)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _close_listener(self) -> None:
        if self._listener is not None:
            # close() alone leaves a blocked accept() listening.
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        with self._lock:
            self._sockets |= {client, server}
        try:
            server.connect(self._upstream)
        except OSError:
            _close(client)
            _close(server)
            return
        back = threading.Thread(
            target=self._pump, args=(server, client, True), daemon=True
        )
        back.start()
        self._pump(client, server, False)
        back.join()
        with self._lock:
            self._sockets -= {client, server}

    def _pump(
        self, source: socket.socket, target: socket.socket, downstream: bool
    ) -> None:
        with suppress(OSError):
            while data := _receive(source):
                self._flowing.wait()
                if not downstream:
                    self.upstream_messages += 1
                if downstream:
                    self._count(len(data))
                    self._flowing.wait()
                if self._pause_s:
                    be_slow(self._pause_s)
                target.sendall(data)
        _close(target)
        _close(source)

    def _count(self, size: int) -> None:
        with self._lock:
            self.downstream_bytes += size
            trap = self._trap
            if trap is None or self.downstream_bytes < trap[0]:
                return
            self._trap = None
        trap[1]()
        self.sprung.set()

    def _taken(self) -> set[socket.socket]:
        with self._lock:
            taken, self._sockets = self._sockets, set()
            return taken


def _receive(source: socket.socket) -> bytes:
    # A thread that is blocked in recv() keeps a closed socket open, and a reset
    # would not be sent before it returns: so it only ever waits for a moment.
    while source.fileno() >= 0:
        poller = select.poll()
        poller.register(source, select.POLLIN)
        if poller.poll(POLL_MS):
            return source.recv(CHUNK_BYTES)
    return b""


def _close(each: socket.socket) -> None:
    # shutdown() wakes a thread that is blocked in recv(); after a reset it fails.
    with suppress(OSError):
        linger = each.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
        if linger != RESET_ON_CLOSE:
            each.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        each.close()


@contextmanager
def running_proxy(upstream: Path) -> Iterator[Proxy]:
    proxy = Proxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
