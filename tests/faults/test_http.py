"""Invalid requests: every response is 4xx JSON with one sentence."""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.faults.conftest import QUESTION, wait_for_answer
from tests.support.cluster import DATABASE, Cluster
from tests.support.metrics import metric, wait_for_metric
from tests.support.postgres import Server, fresh_database
from tests.support.proxy import Proxy
from tests.support.raw import exchange, post, read_all, status
from tests.support.rows import add_job, add_user
from tests.support.service import Service, running_service
from tests.support.waiting import wait_until

TIMEOUT_S = 2.0
LIMIT_BYTES = 64 * 1024
DEEP = 100_000


@pytest.fixture(scope="module")
def service(
    postgres: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    with fresh_database(postgres) as url:
        add_job(url, 41, "cooking")
        add_user(url, 41, "cooking")
        log_file = tmp_path_factory.mktemp("http") / "log"
        with running_service(
            url, log_file, REQUEST_TIMEOUT_S=str(TIMEOUT_S)
        ) as running:
            wait_for_answer(running)
            yield running


def send(service: Service, body: bytes) -> httpx.Response:
    return service.client.post(
        "/api/recommend", content=body, headers={"Content-Type": "application/json"}
    )


INVALID = [
    pytest.param(b"", id="f1 empty"),
    pytest.param(b"null", id="f1 null"),
    pytest.param(b"[]", id="f1 array"),
    pytest.param(b'{"user_id": 41', id="f2 broken JSON"),
    pytest.param(b'{"user_id": NaN}', id="f5 NaN"),
    pytest.param(b'{"user_id": Infinity}', id="f5 Infinity"),
    pytest.param(b'{"user_id": 41, "top_n": NaN}', id="f5 NaN top_n"),
    pytest.param(b'{"user_id": 1e999}', id="f5 infinite by size"),
    pytest.param(b'{"user_id": true}', id="f6 boolean"),
    pytest.param(b'{"user_id": 41.5}', id="f6 fraction"),
    pytest.param(b'{"user_id": [41]}', id="f6 list"),
    pytest.param(b'{"user_id": {"a": 1}}', id="f6 object"),
    pytest.param(b'{"user_id": 9007199254740994.0}', id="f7 a float that is too long"),
    pytest.param(b'{"user_id": 9223372036854775808}', id="f8 beyond 64 bits"),
    pytest.param(b'{"user_id": -9223372036854775809}', id="f8 below 64 bits"),
    pytest.param(b'{"user_id": 41, "top_n": 0}', id="f10 zero"),
    pytest.param(b'{"user_id": 41, "top_n": -1}', id="f10 negative"),
    pytest.param(b'{"user_id": 41, "top_n": 101}', id="f10 beyond the maximum"),
    pytest.param(b'{"user_id": 41, "top_n": "5"}', id="f10 text"),
    pytest.param(b'{"user_id": 41, "top_n": true}', id="f10 boolean"),
    pytest.param(b'{"user_id": 41, "surprise": 1}', id="f11 unknown key"),
    pytest.param(b'{"user_id": 41, "skills": "x"}', id="f12 both"),
    pytest.param(b'{"top_n": 5}', id="f12 neither"),
    pytest.param(b'{"user_id": null}', id="f12 null"),
    pytest.param(b'{"skills": "  "}', id="f12 blank"),
    pytest.param(b'{"user_id": ""}', id="f12 empty id"),
]

# The parser fails before validation.
UNREADABLE = [
    pytest.param(b'{"skills": "\xff\xfe"}', id="f3 invalid UTF-8"),
    pytest.param(b"[" * 30_000 + b"]" * 30_000, id="f4 nested deep"),
    pytest.param(b'{"user_id":' * 5_000 + b"1" + b"}" * 5_000, id="f4 objects"),
    pytest.param(b'{"user_id": ' + b"9" * 5000 + b"}", id="f9 5,000 digits"),
]


@pytest.mark.parametrize("body", INVALID)
def test_f1_to_f12_an_invalid_body_is_422_with_one_sentence(
    service: Service, body: bytes
) -> None:
    response = send(service, body)
    assert response.status_code == 422
    answer = response.json()
    assert answer.keys() == {"success", "detail", "status", "title", "type"}
    assert answer["success"] is False
    assert re.fullmatch(r"The request is not valid: .+\.", answer["detail"])


@pytest.mark.parametrize("body", UNREADABLE)
def test_f3_f4_f9_a_body_that_no_parser_reads_is_400(
    service: Service, body: bytes
) -> None:
    response = send(service, body)
    assert response.status_code == 400
    answer = response.json()
    assert re.fullmatch(r"The body cannot be parsed: .+\.", answer.pop("detail"))
    assert answer == {
        "success": False,
        "status": 400,
        "title": "Bad Request",
        "type": "about:blank",
    }


def test_f4_json_nested_100000_deep_leaves_the_process_alive(service: Service) -> None:
    # Refused because it exceeds the limit of a body; those above do not.
    assert send(service, b"[" * DEEP + b"]" * DEEP).status_code == 413
    assert service.client.get("/healthz").status_code == 200


@pytest.mark.parametrize("same", [41.0, "41"])
def test_f7_an_integer_may_be_written_as_a_float_or_as_text(
    service: Service, same: object
) -> None:
    found = service.recommend(user_id=same, top_n=1.0)
    assert found.status_code == 200
    assert found.json() == service.recommend(user_id=41, top_n=1).json()


def test_f13_an_announced_body_over_the_limit_is_413_before_it_is_read(
    service: Service,
) -> None:
    head = post(b"", "X-Test: 1").replace(
        b"Content-Length: 0", b"Content-Length: 100000000"
    )
    # No byte of the body is sent, so the response cannot have waited for it.
    response = exchange(service.port, head)
    assert status(response) == 413
    assert f"larger than {LIMIT_BYTES} bytes" in response.decode()


def test_f13_a_body_of_exactly_the_limit_is_read(service: Service) -> None:
    body = b'{"skills": "' + b"x" * 40_000 + b'"}'
    assert send(service, body.ljust(LIMIT_BYTES)).status_code == 200
    assert send(service, body.ljust(LIMIT_BYTES + 1)).status_code == 413


def test_f14_a_chunked_body_over_the_limit_is_413(service: Service) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(9):
            yield b" " * 8192

    response = service.client.post("/api/recommend", content=chunks())
    assert response.status_code == 413


def test_f14_chunks_without_end_are_cut_at_the_limit(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as endless:
        endless.sendall(
            b"POST /api/recommend HTTP/1.1\r\nHost: x\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        sent = 0
        try:
            while sent < 100_000_000:
                endless.sendall(b"1000\r\n" + b" " * 4096 + b"\r\n")
                sent += 4096
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert sent < 20_000_000


def test_f15_a_body_that_trickles_in_is_closed_at_the_deadline(
    service: Service,
) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as slow:
        start = time.monotonic()
        slow.sendall(post(b" " * 1000)[:-999])
        stop = threading.Event()

        def trickle() -> None:
            while not stop.wait(0.1):
                try:
                    slow.sendall(b" ")
                except OSError:
                    return

        threading.Thread(target=trickle, daemon=True).start()
        response = read_all(slow)
        stop.set()
    assert TIMEOUT_S - 0.1 < time.monotonic() - start < TIMEOUT_S + 3
    assert status(response) == 408
    assert b"did not arrive in 2 s" in response


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "", None]
)
def test_f16_a_wrong_content_type_is_refused(
    service: Service, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    response = service.client.post(
        "/api/recommend", content=b'{"user_id": 41}', headers=headers
    )
    assert response.status_code in (415, 422)
    assert response.json()["success"] is False


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_f17_a_wrong_method_is_405(service: Service, method: str) -> None:
    response = service.client.request(method, "/api/recommend")
    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"
    assert response.json()["detail"] == "Method Not Allowed: this path takes POST."


@pytest.mark.parametrize("user_id", [999, -1, "nobody", "41; DROP TABLE users", "٤١"])
def test_f18_an_unknown_user_is_404(service: Service, user_id: object) -> None:
    response = service.recommend(user_id=user_id)
    assert response.status_code == 404
    assert response.json()["detail"] == "No user has this user_id."


MARKER = "xyzzy-user-text"


@pytest.mark.parametrize(
    "body",
    [
        {"user_id": [MARKER]},
        {"user_id": 41, MARKER: 1},
        {"skills": MARKER, "top_n": MARKER},
        {"skills": {MARKER: MARKER}},
        {"user_ids": MARKER * 40},
    ],
)
def test_f75_a_422_does_not_echo_the_input(service: Service, body: object) -> None:
    response = send(service, json.dumps(body).encode())
    assert response.status_code == 422
    assert MARKER not in response.text
    assert MARKER not in service.log


def test_f19_the_scan_of_a_client_that_left_is_cancelled(
    cluster: Cluster, proxy: Proxy, tmp_path: Path
) -> None:
    with running_service(proxy.url(DATABASE), tmp_path / "log") as service:
        wait_for_answer(service)
        proxy.slow(0.01)  # 16 KB in 10 ms: the whole scan would take 4 s
        begun = proxy.downstream_bytes
        with socket.create_connection(("127.0.0.1", service.port)) as leaving:
            leaving.sendall(post(json.dumps(QUESTION).encode()))
            wait_until(lambda: proxy.downstream_bytes >= begun + 100_000)
            assert metric(service, "recommender_pool_in_use") == 1
        wait_for_metric(service, "recommender_pool_in_use", 0, within_s=2)
        assert proxy.downstream_bytes < begun + 5_000_000
        proxy.restore()
        assert '"status": 499' in service.log
        assert "exception" not in service.log


def test_f19_a_scan_continues_for_its_other_clients(
    cluster: Cluster, proxy: Proxy, tmp_path: Path
) -> None:
    with running_service(proxy.url(DATABASE), tmp_path / "log") as service:
        expected = wait_for_answer(service).json()
        proxy.slow(0.003)
        begun = proxy.downstream_bytes
        stayed: list[object] = []
        # One scan occupies the only thread while two queries join the next batch.
        first = threading.Thread(target=lambda: service.recommend(**QUESTION))
        first.start()
        wait_until(lambda: proxy.downstream_bytes >= begun + 100_000)
        staying = threading.Thread(
            target=lambda: stayed.append(service.recommend(**QUESTION).json())
        )
        staying.start()
        with socket.create_connection(("127.0.0.1", service.port)) as leaving:
            leaving.sendall(post(json.dumps(QUESTION).encode()))
            wait_for_metric(service, "recommender_queue_depth", 2, within_s=5)
            first.join()
            wait_for_metric(service, "recommender_queue_depth", 0, within_s=5)
        staying.join()
        proxy.restore()
    assert stayed == [expected]
