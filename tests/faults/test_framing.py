"""HTTP framing: a body belongs to its request, whatever the headers."""

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.raw import exchange, post, read_all, status
from tests.support.service import Service, running_service

# No database: these bodies are refused before it is queried.
NOWHERE = "postgresql://u@127.0.0.1:1/x"
KEY = "the-key-of-a-stranger-on-a-pool"
INNER = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
JAVA_SOURCE = Path(__file__).parents[1] / "support" / "Post.java"
JAVA_WITHIN_S = 60

OFFERS = {
    "h2c as Java": (
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
    ),
    "websocket": (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ),
    "TLS": ("Connection: upgrade", "Upgrade: TLS/1.0"),
    "several": ("Connection: keep-alive, UPGRADE", "Upgrade: foo/2, h2c, bar"),
    "twice": ("Connection: upgrade", "Upgrade: h2c", "upgrade: websocket"),
    "empty": ("Connection: upgrade", "Upgrade:"),
    "nobody knows": ("Connection: upgrade", "Upgrade: \xe4\xf6/9"),
    "no connection option": ("Upgrade: h2c",),
    "only the option": ("Connection: upgrade",),
    "to wait": ("Expect: 100-continue",),
    "to wait for what": ("Expect: the-unexpected",),
    "a proxy's": ("Proxy-Connection: upgrade", "Upgrade: h2c"),
    "trailers": ("TE: trailers", "Connection: TE, upgrade", "Upgrade: h2c"),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log_file = tmp_path_factory.mktemp("framing") / "log"
    with running_service(NOWHERE, log_file) as running:
        yield running


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log_file = tmp_path_factory.mktemp("closed") / "log"
    with running_service(NOWHERE, log_file, API_KEYS=KEY) as running:
        yield running


def head(*extra: str, length: int | None) -> bytes:
    """The headers of a POST on a persistent connection; chunked without a length."""
    framing = "Transfer-Encoding: chunked"
    lines = [
        "POST /api/recommend HTTP/1.1",
        "Host: x",
        "Content-Type: application/json",
        framing if length is None else f"Content-Length: {length}",
        *extra,
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


def statuses(answers: bytes) -> list[int]:
    """The statuses of all responses, without 100."""
    found = [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]
    return [each for each in found if each != 100]


LAST = INNER.replace(b"Host: x", b"Host: x\r\nConnection: close")


@pytest.mark.parametrize("split", ["one segment", "head first", "byte by byte"])
@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("offer", OFFERS)
def test_f123_the_bytes_of_a_body_are_never_the_next_request(
    service: Service, offer: str, framing: str, split: str
) -> None:
    length = len(INNER) if framing == "length" else None
    start = head(*OFFERS[offer], length=length)
    rest = INNER if framing == "length" else chunked(INNER)
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as pooled:
        pooled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if split == "one segment":
            pooled.sendall(start + rest)
        else:
            pooled.sendall(start)
            step = 1 if split == "byte by byte" else len(rest)
            for at in range(0, len(rest), step):
                pooled.sendall(rest[at : at + step])
        pooled.sendall(LAST)
        answers = read_all(pooled)
    # The body is not JSON: 422. Then the next request, and nothing in between.
    assert statuses(answers) == [422, 200]


@pytest.mark.parametrize("offer", OFFERS)
def test_f123_an_offer_is_ignored_and_its_body_is_read(
    service: Service, offer: str
) -> None:
    body = b'{"user_id": 1, "surprise": 1}'
    answer = exchange(service.port, post(body, *OFFERS[offer]))
    assert statuses(answer) == [422]
    assert b"has an unknown field" in answer


def test_f123_a_refused_body_is_not_answered_with_the_key_of_the_next(
    closed: Service,
) -> None:
    """A proxy shares one connection between clients. Headers hidden in a body would
    absorb those of the next request, with its key.
    """
    hidden = b"POST /api/recommend HTTP/1.1\r\nX-Swallowed: "
    mine = head("Connection: upgrade", "Upgrade: h2c", length=len(hidden)) + hidden
    theirs = LAST.replace(b"/healthz", b"/metrics").replace(
        b"Host: x", f"Host: x\r\nX-API-Key: {KEY}".encode()
    )
    answers = exchange(closed.port, mine + theirs)
    assert statuses(answers) == [401, 200]
    assert b"recommender_requests_total" in answers


def test_f123_offers_in_a_row_are_each_declined_in_their_order(
    service: Service,
) -> None:
    offer = "\r\n".join(OFFERS["h2c as Java"]).encode()
    one = INNER.replace(b"Host: x", b"Host: x\r\n" + offer)
    unknown = one.replace(b"/healthz", b"/nowhere")
    answers = exchange(service.port, one + unknown + one + LAST)
    assert statuses(answers) == [200, 404, 200, 200]


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", id="CONNECT"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2 as agreed"),
        pytest.param(b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n", id="HTTP/2.0"),
        pytest.param(b"GET /healthz HTTP/0.9\r\nHost: x\r\n\r\n", id="HTTP/0.9"),
        pytest.param(
            head("Transfer-Encoding: gzip", length=None), id="chunks inside gzip"
        ),
        pytest.param(head("Content-Length: 1", length=2), id="two lengths"),
    ],
)
def test_f123_what_is_framed_otherwise_is_a_400_and_the_end(
    service: Service, sent: bytes
) -> None:
    answers = exchange(service.port, sent + INNER)
    assert statuses(answers) == [400]
    assert b"connection: close" in answers.lower()


@pytest.mark.parametrize("before", [1, 3])
def test_f123_a_broken_request_does_not_take_the_answer_of_those_before_it(
    service: Service, before: int
) -> None:
    answers = exchange(service.port, INNER * before + b"no request\r\n\r\n" + INNER)
    assert statuses(answers) == [200] * before + [400]


def test_f123_a_body_that_breaks_off_gets_one_answer(service: Service) -> None:
    answers = exchange(service.port, INNER + head(length=None) + b"zz\r\n" + INNER)
    assert statuses(answers) == [200, 400]


def test_f123_a_refusal_and_a_broken_body_are_one_answer(closed: Service) -> None:
    with socket.create_connection(("127.0.0.1", closed.port), timeout=20) as stranger:
        stranger.sendall(head(length=None))
        answer = stranger.recv(65536)
        stranger.sendall(b"zz\r\n" + INNER)
        answer += read_all(stranger)
    assert statuses(answer) == [401]


def test_f123_who_waits_for_the_word_to_send_gets_it_or_the_refusal(
    service: Service, closed: Service
) -> None:
    expecting = head("Expect: 100-continue", "Connection: close", length=2)
    for where, first in ((service, 100), (closed, 401)):
        with socket.create_connection(("127.0.0.1", where.port), timeout=20) as waiting:
            waiting.sendall(expecting)
            assert status(waiting.recv(65536)) == first
            waiting.sendall(b"{}" + INNER)
            assert statuses(read_all(waiting)) == ([422] if first == 100 else [])


def test_f123_the_stock_client_of_java_posts(service: Service, java: Path) -> None:
    url = f"http://127.0.0.1:{service.port}/api/recommend"
    bodies = [json.dumps({"user_id": 1, "surprise": n}) for n in range(2)]
    answered = subprocess.run(
        [str(java), str(JAVA_SOURCE), url, *bodies, INNER.decode()],
        capture_output=True,
        text=True,
        timeout=JAVA_WITHIN_S,
        check=True,
    ).stdout.splitlines()
    assert [line[:3] for line in answered] == ["422"] * 3
    assert all("has an unknown field" in line for line in answered[:2])
    assert '"The request is not valid: the body is not JSON."' in answered[2]
