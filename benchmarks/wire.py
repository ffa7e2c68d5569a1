"""Counts the bytes that a server receives from the database."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from psycopg2.extensions import make_dsn, parse_dsn


@dataclass
class Counter:
    """Bytes that came from the database, over all connections."""

    received: int = 0


@contextmanager
def counted(database_url: str) -> Iterator[tuple[str, Counter]]:
    """A connection string that leads through a proxy, and what the proxy counts."""
    upstream = _socket_path(database_url)
    counter = Counter()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(
            target=_accept, args=(listener, upstream, counter), daemon=True
        ).start()
        port = listener.getsockname()[1]
        yield make_dsn(database_url, host="127.0.0.1", port=port), counter


def _socket_path(database_url: str) -> str:
    given = parse_dsn(database_url)
    return f"{given['host']}/.s.PGSQL.{given.get('port', 5432)}"


def _accept(listener: socket.socket, upstream: str, counter: Counter) -> None:
    with suppress(OSError):  # the listener was closed: the measurement is over
        while True:
            client, _ = listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(upstream)
            for source, target, counts in (
                (client, server, None),
                (server, client, counter),
            ):
                threading.Thread(
                    target=_pump, args=(source, target, counts), daemon=True
                ).start()


def _pump(
    source: socket.socket, target: socket.socket, counter: Counter | None
) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 20):
            if counter is not None:
                counter.received += len(data)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
