"""The Python client's errors and time limits, with any server."""

import select
import socket
import threading
from contextlib import suppress
from typing import Any

import pytest
from job_recommendations import (
    ApiError,
    Client,
    ServiceError,
    ServiceUnreachableError,
    UnexpectedAnswerError,
)

from tests.support.answers import Asked, answering, response

HTML = "Content-Type: text/html"
LARGE = "x" * 20_000_000


def drip(asked: Asked) -> bytes | None:
    """The headers of a response, byte by byte without an end."""
    asked.connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while not hung_up(asked.connection):
        asked.connection.sendall(b"x")
    return None


def drip_a_body(asked: Asked) -> bytes | None:
    asked.connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    return drip(asked)


def hung_up(connection: socket.socket, *, pause_s: float = 0.01) -> bool:
    return bool(select.select([connection], [], [], pause_s)[0])


def never(asked: Asked) -> bytes | None:
    while not hung_up(asked.connection):
        pass
    return None


@pytest.mark.parametrize("answer", [drip, drip_a_body, never])
@pytest.mark.parametrize("timeout_s", [0.1, 60.0])
def test_f134_time_limits_hold_for_the_sum(answer: Any, timeout_s: float) -> None:
    with (
        answering(answer) as address,
        Client(address, timeout_s=timeout_s, give_up_after_s=0.4) as client,
        pytest.raises(ServiceUnreachableError, match="TimeoutError: "),
    ):
        # Without a limit it would never end.
        client.recommend(user_id=1)


def test_f134_a_wait_that_would_be_too_long_is_not_begun() -> None:
    asked: list[Asked] = []

    def busy(each: Asked) -> bytes:
        asked.append(each)
        detail = b'{"success": false, "detail": "Full."}'
        return response(detail, "Retry-After: 1", status="503 Busy")

    with (
        answering(busy) as address,
        Client(address, give_up_after_s=0.9) as client,
        pytest.raises(ApiError, match=r"^503: Full\.$") as raised,
    ):
        client.recommend(user_id=1)
    assert len(asked) == 1
    assert raised.value.retry_after_s == 1


def test_f134_a_server_that_reads_nothing_is_given_up() -> None:
    # The system takes the connection and some of the body; nobody takes the rest.
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        Client(f"http://127.0.0.1:{server.getsockname()[1]}", give_up_after_s=0.3) as c,
        pytest.raises(ServiceUnreachableError, match="TimeoutError: "),
    ):
        c.recommend(skills=LARGE)


UNEXPECTED = {
    "a sign-in page": response(b"<html>Sign in</html>", HTML),
    "a redirect": response(b"", "Location: https://sso.example", status="302 Found"),
    "an empty answer": response(b""),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "JSON of another service": response(b'{"status": "ok"}'),
    "a list": response(b"[]"),
    "a page that is not there": response(b"<html>", HTML, status="404 Not Found"),
    "nested without end": response(b"[" * 100_000),
    "no UTF-8": response(b'{"success": true, "recommendations": "\xff"}'),
}
REFUSED = {
    "a body that is too large, says nginx": (
        413,
        response(b"<html>", HTML, status="413 X"),
    ),
    "forbidden by a firewall": (403, response(b"", status="403 Forbidden")),
    "a gateway's page": (502, response(b"<html>", HTML, status="502 Bad Gateway")),
    "an empty 500": (500, response(b"", status="500 Oops")),
    "a detail that is a list": (422, response(b'{"detail": []}', status="422 X")),
}


@pytest.mark.parametrize("sent", UNEXPECTED.values(), ids=UNEXPECTED)
def test_f134_a_response_of_another_server_has_its_own_error(sent: bytes) -> None:
    with (
        answering(lambda _: sent) as address,
        Client(address) as client,
        pytest.raises(UnexpectedAnswerError, match="check base_url") as raised,
    ):
        client.recommend(user_id=1)
    assert isinstance(raised.value, ServiceError)


@pytest.mark.parametrize(("status", "sent"), REFUSED.values(), ids=REFUSED)
def test_f134_an_error_has_its_status_even_from_a_proxy(
    status: int, sent: bytes
) -> None:
    with (
        answering(lambda _: sent) as address,
        # The first wait would be too long, however long the answer takes.
        Client(address, give_up_after_s=10, backoff_s=1e9) as client,
        pytest.raises(ApiError, match="no explanation") as raised,
    ):
        client.recommend(user_id=1)
    assert raised.value.status == status


def test_f134_an_error_sent_before_the_body_was_read_is_received() -> None:
    """The service responds early and closes for a body of more than 64 KB."""
    said = b'{"success": false, "detail": "The body is too large."}'
    refusal = response(said, "Connection: close", status="413 Too Large")

    def refuse(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(refusal)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=refuse, args=(server,), daemon=True).start()
        with Client(f"http://127.0.0.1:{server.getsockname()[1]}") as client:
            for _ in range(20):
                with pytest.raises(ApiError, match=r"^413: The body is too large\.$"):
                    client.recommend(skills=LARGE)
        server.shutdown(socket.SHUT_RDWR)
