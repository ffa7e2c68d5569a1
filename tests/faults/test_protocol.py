"""Limits before a request is complete: headers, trailers, pipelines."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.support.metrics import metric
from tests.support.raw import exchange, post, read_all, status
from tests.support.service import Service, running_service

# No database: these requests fail before a query.
NOWHERE = "postgresql://u@127.0.0.1:1/x"
ENDLESS_BYTES = 100_000_000
# Bytes that the kernel buffers on both sides, beyond those the service reads.
SOON_BYTES = 20_000_000
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = (
    b"POST /api/recommend HTTP/1.1\r\nHost: x\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log_file = tmp_path_factory.mktemp("protocol") / "log"
    # The timeout of bodies is longer than that of headers.
    with running_service(NOWHERE, log_file, REQUEST_TIMEOUT_S="30") as running:
        yield running


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize(
    ("start", "more"),
    [
        pytest.param(b"GET /", b"a" * 4096, id="path"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nX-", b"a" * 4096, id="name"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ", b"a" * 4096, id="value"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: x\r\n", b"X-A: b\r\n" * 512, id="headers"
        ),
        pytest.param(CHUNKED + b"0\r\n", b"X-A: b\r\n" * 512, id="trailers"),
        pytest.param(CHUNKED + b"0\r\nX-A: ", b"a" * 4096, id="one trailer"),
        pytest.param(CHUNKED + b"1;", b"a" * 4096, id="chunk extension"),
    ],
)
def test_input_that_never_becomes_a_request_is_cut_off(
    service: Service, start: bytes, more: bytes
) -> None:
    before = anonymous_bytes(service)
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as endless:
        sent = 0
        try:
            endless.sendall(start)
            while sent < ENDLESS_BYTES:
                endless.sendall(more)
                sent += len(more)
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert sent < SOON_BYTES
    assert anonymous_bytes(service) - before < 5_000_000
    assert service.client.get("/healthz").status_code == 200


def test_a_head_beyond_the_limit_gets_a_sentence(service: Service) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Test: " + b"a" * 400_000
    response = exchange(service.port, head)
    assert status(response) == 400
    assert b'"detail":"The headers of the request are too long."' in response


def test_a_long_head_within_the_limit_is_read(service: Service) -> None:
    found = service.client.get("/healthz", headers={"X-Test": "a" * 30_000})
    assert found.status_code == 200


def test_pipelined_requests_are_answered_in_order(service: Service) -> None:
    unknown = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
    last = HEALTH.replace(b"Host: x", b"Host: x\r\nConnection: close")
    response = exchange(service.port, HEALTH + unknown + HEALTH + last)
    statuses = [int(part[:3]) for part in response.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200, 404, 200, 200]


def test_a_flood_of_requests_in_a_row_is_refused(service: Service) -> None:
    before = anonymous_bytes(service)
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as flood:
        with suppress(BrokenPipeError, ConnectionResetError):
            flood.sendall(HEALTH * 100_000)
        response = read_all(flood)
    assert response.count(b"HTTP/1.1 200") < 1_000
    assert anonymous_bytes(service) - before < 5_000_000
    assert service.client.get("/healthz").status_code == 200


def test_a_head_that_does_not_come_is_not_waited_for(
    service: Service, sockets: ExitStack
) -> None:
    silent, half, later, patient = (
        sockets.enter_context(
            socket.create_connection(("127.0.0.1", service.port), timeout=20)
        )
        for _ in range(4)
    )
    later.sendall(HEALTH)
    answer = b""
    while not answer.endswith(b"}"):  # head and body come one after the other
        answer += later.recv(65536)
    assert status(answer) == 200
    later.sendall(b"GET /hea")
    half.sendall(b"GET /healthz HTTP/1.1\r\nX-")
    whole = post(b"null")
    patient.sendall(whole[:-1])
    for waiting in (silent, half, later):
        assert read_all(waiting) == b""
    # Its headers are complete; the service waits for the rest of the body.
    patient.sendall(whole[-1:])
    assert status(read_all(patient)) == 422


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
        pytest.param(b"hello\r\n\r\n", id="a word"),
        pytest.param(post(b"{}", "Content-Length: 3"), id="two lengths"),
        pytest.param(post(b"{}", "Transfer-Encoding: chunked"), id="length and chunks"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n X-A: b\r\n\r\n", id="folded"),
        pytest.param(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", id="space in a name"),
        pytest.param(CHUNKED + b"zz\r\n", id="no number"),
    ],
)
def test_what_is_not_http_is_a_400(service: Service, sent: bytes) -> None:
    assert status(exchange(service.port, sent)) == 400


def anonymous_bytes(service: Service) -> float:
    """The service's memory that cannot be reclaimed."""
    return metric(service, "recommender_process_anonymous_bytes")
