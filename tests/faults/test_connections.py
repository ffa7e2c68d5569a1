"""Limits of connections: number, size, time."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from tests.support.bulk import fill_jobs
from tests.support.metrics import metric
from tests.support.postgres import Server, fresh_database
from tests.support.raw import post, read_all, status
from tests.support.rows import add_user
from tests.support.service import Service, running_service
from tests.support.waiting import be_slow, wait_until

KEY = "the-key-that-strangers-lack"
MOST = 20
STRANGERS = 60
NOWHERE = "postgresql://u@127.0.0.1:1/x"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log_file = tmp_path_factory.mktemp("closed") / "log"
    settings = {"API_KEYS": KEY, "RATE_LIMIT_PER_MINUTE": "1"}
    with running_service(NOWHERE, log_file, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with few connections."""
    log_file = tmp_path_factory.mktemp("small") / "log"
    with running_service(NOWHERE, log_file, MAX_CONNECTIONS=str(MOST)) as running:
        yield running


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connect(service: Service, sockets: ExitStack) -> socket.socket:
    address = ("127.0.0.1", service.port)
    return sockets.enter_context(socket.create_connection(address, timeout=30))


def dripping(head: bytes, connection: socket.socket) -> threading.Thread:
    """Send a byte every 50 ms after the headers, until the server closes."""

    def drip() -> None:
        with suppress(OSError):
            while True:
                connection.sendall(b" ")
                be_slow(0.05)

    connection.sendall(head)
    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    return thread


UNREAD = {
    "a body without a key": (401, post(b" " * 9_000_000)[:-9_000_000]),
    "chunks without a key": (
        401,
        b"POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    "too large a body": (
        413,
        post(b"", f"X-API-Key: {KEY}").replace(b"Length: 0", b"Length: 99999999"),
    ),
}


@pytest.mark.parametrize("kind", UNREAD)
def test_f125_a_refused_body_that_drips_is_let_go(
    closed: Service, sockets: ExitStack, kind: str
) -> None:
    expected, head = UNREAD[kind]
    if b"chunked" in head:
        head += b"10000\r\n"  # the slow bytes are the data of a chunk
    stranger = connect(closed, sockets)
    # Not by `Connection: close`: the service must close it.
    thread = dripping(head.replace(b"Connection: close\r\n", b""), stranger)
    answer = read_all(stranger)
    thread.join(30)
    assert status(answer) in (expected, 429)  # of the rate of one a minute
    assert b"connection: close" in answer.lower()
    assert not thread.is_alive()


def test_f125_a_refused_body_without_an_end_is_not_read_on(
    closed: Service, sockets: ExitStack
) -> None:
    stranger = connect(closed, sockets)
    stranger.sendall(UNREAD["chunks without a key"][1])
    sent = 0
    with suppress(ConnectionError):
        while sent < 100_000_000:
            stranger.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
            sent += 65536
    assert sent < 30_000_000


def test_f125_who_sends_a_whole_refused_body_reads_why(closed: Service) -> None:
    found = closed.client.post("/api/recommend", content=b"x" * 1_000_000)
    assert found.status_code == 401


def test_f125_empty_lines_do_not_keep_a_connection(
    closed: Service, sockets: ExitStack
) -> None:
    stranger = connect(closed, sockets)
    stranger.sendall(HEALTH)
    assert status(stranger.recv(65536)) == 200

    def send_lines() -> None:
        with suppress(OSError):
            while True:
                stranger.sendall(b"\r\n")
                be_slow(0.05)

    thread = threading.Thread(target=send_lines, daemon=True)
    thread.start()
    read_all(stranger)
    thread.join(30)
    assert not thread.is_alive()


@pytest.mark.parametrize("said", [b"", b"GET /heal", HEALTH], ids=str)
def test_f125_beyond_the_connections_the_idle_ones_make_room(
    small: Service, sockets: ExitStack, said: bytes
) -> None:
    for _ in range(STRANGERS):
        stranger = connect(small, sockets)
        stranger.sendall(said)
        if said == HEALTH:
            # Idle only once it was answered.
            assert status(stranger.recv(65536)) == 200
    late = connect(small, sockets)
    late.sendall(HEALTH)
    assert status(late.recv(65536)) == 200
    assert len(psutil.Process(small.process.pid).net_connections()) <= MOST + 2


def test_f125_connections_beyond_the_limit_are_refused(
    small: Service, sockets: ExitStack
) -> None:
    for _ in range(MOST):
        busy = connect(small, sockets)
        busy.sendall(post(b"{}", "Expect: 100-continue")[:-2])
        # Its request has begun.
        assert status(busy.recv(65536)) == 100
    refused = connect(small, sockets)
    answer = read_all(refused)
    assert status(answer) == 503
    assert b"retry-after: 1" in answer.lower()
    assert b"x-content-type-options: nosniff" in answer.lower()


def test_f125_a_client_that_never_reads_is_disconnected(
    postgres: Server, tmp_path: Path, sockets: ExitStack
) -> None:
    """Clients request the largest responses and read none of them."""
    with fresh_database(postgres) as url:
        fill_jobs(url, 200, more="x" * 20_000)
        add_user(url, 1, "python")
        with running_service(url, tmp_path / "log") as service:
            body = b'{"user_id": 1, "top_n": 100}'
            whole = read_all_of(service, body, sockets)
            assert len(whole) > 1_000_000
            asked = post(body).replace(b"Connection: close\r\n", b"")
            for _ in range(12):
                stranger = socket.socket()
                sockets.enter_context(stranger)
                # The window is so small that the response waits in the service.
                stranger.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                stranger.connect(("127.0.0.1", service.port))
                stranger.sendall(asked * 4)
            wait_until(lambda: open_connections(service) <= 2, within_s=60)
            assert read_all_of(service, body, sockets) == whole
            assert metric(service, "recommender_process_anonymous_bytes") < 120e6


def read_all_of(service: Service, body: bytes, sockets: ExitStack) -> bytes:
    asking = connect(service, sockets)
    asking.sendall(post(body))
    return read_all(asking).partition(b"\r\n\r\n")[2]


def open_connections(service: Service) -> int:
    connections = psutil.Process(service.process.pid).net_connections()
    return sum(c.status != psutil.CONN_LISTEN for c in connections)


def test_f116_a_connection_stays_open_as_long_as_it_is_set(
    tmp_path: Path, sockets: ExitStack
) -> None:
    with running_service(NOWHERE, tmp_path / "log", KEEP_ALIVE_S="1") as service:
        short = connect(service, sockets)
        begun = time.monotonic()
        short.sendall(HEALTH)
        assert status(read_all(short)) == 200
        assert time.monotonic() - begun >= 1
