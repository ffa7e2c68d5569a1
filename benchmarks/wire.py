"""A proxy before the database that counts bytes and can add latency."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from psycopg2.extensions import make_dsn, parse_dsn


@dataclass
class Counter:
    """Bytes received from the database, over all connections."""

    received: int = 0


@contextmanager
def counted(
    database_url: str, *, round_trip_s: float = 0.0
) -> Iterator[tuple[str, Counter]]:
    """A connection string through a proxy, and its counter.

    Sent bytes arrive `round_trip_s` later; received bytes at once.
    """
    upstream = _socket_path(database_url)
    counter = Counter()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(
            target=_accept,
            args=(listener, upstream, counter, round_trip_s),
            daemon=True,
        ).start()
        port = listener.getsockname()[1]
        yield make_dsn(database_url, host="127.0.0.1", port=port), counter


def _socket_path(database_url: str) -> str:
    given = parse_dsn(database_url)
    return f"{given['host']}/.s.PGSQL.{given.get('port', 5432)}"


def _accept(
    listener: socket.socket, upstream: str, counter: Counter, round_trip_s: float
) -> None:
    with suppress(OSError):  # the listener was closed: the measurement is over
        while True:
            client, _ = listener.accept()
            # Else small answers wait for acknowledgements that come 40 ms late.
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = socket.socket(socket.AF_UNIX)
            server.connect(upstream)
            for pump in (
                (client, server, Counter(), round_trip_s),
                (server, client, counter, 0.0),
            ):
                threading.Thread(target=_pump, args=pump, daemon=True).start()


def _pump(
    source: socket.socket, target: socket.socket, counter: Counter, delay_s: float
) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 20):
            counter.received += len(data)
            if delay_s:
                time.sleep(delay_s)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
