"""A proxy before the database that counts bytes, and can be as slow as a network."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from psycopg2.extensions import make_dsn, parse_dsn


@dataclass
class Counter:
    """Bytes received from the database, and messages sent to it: round trips."""

    received: int = 0
    messages: int = 0


@dataclass(frozen=True)
class Link:
    """Sent bytes arrive `round_trip_s` later; each connection receives `bytes_per_s`,
    without a limit if 0.
    """

    round_trip_s: float = 0.0
    bytes_per_s: float = 0.0


NO_DELAY = Link()


@contextmanager
def counted(
    database_url: str, *, link: Link = NO_DELAY
) -> Iterator[tuple[str, Counter]]:
    """A connection string through a proxy, and its counter."""
    upstream = _socket_path(database_url)
    counter = Counter()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(
            target=_accept,
            args=(listener, upstream, counter, link),
            daemon=True,
        ).start()
        port = listener.getsockname()[1]
        yield make_dsn(database_url, host="127.0.0.1", port=port), counter


def _socket_path(database_url: str) -> str:
    given = parse_dsn(database_url)
    return f"{given['host']}/.s.PGSQL.{given.get('port', 5432)}"


def _accept(
    listener: socket.socket, upstream: str, counter: Counter, link: Link
) -> None:
    with suppress(OSError):  # the listener was closed: the measurement is over
        while True:
            client, _ = listener.accept()
            # Else small answers wait for acknowledgements that come 40 ms late.
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = socket.socket(socket.AF_UNIX)
            server.connect(upstream)
            for pump, ends in ((_send, (client, server)), (_receive, (server, client))):
                threading.Thread(
                    target=pump, args=(*ends, counter, link), daemon=True
                ).start()


def _send(
    source: socket.socket, target: socket.socket, counter: Counter, link: Link
) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 20):
            counter.messages += 1
            if link.round_trip_s:
                time.sleep(link.round_trip_s)
            target.sendall(data)
    _end(target)


def _receive(
    source: socket.socket, target: socket.socket, counter: Counter, link: Link
) -> None:
    free_at = 0.0
    with suppress(OSError):
        while data := source.recv(1 << 16 if link.bytes_per_s else 1 << 20):
            counter.received += len(data)
            if link.bytes_per_s:
                free_at = max(free_at, time.perf_counter())
                free_at += len(data) / link.bytes_per_s
                time.sleep(max(0.0, free_at - time.perf_counter()))
            target.sendall(data)
    _end(target)


def _end(target: socket.socket) -> None:
    """Pass the end on, also that of a client that was killed."""
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
