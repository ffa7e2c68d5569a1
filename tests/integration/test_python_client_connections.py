"""The Python client with network faults, forks and proxies."""

import copy
import json
import multiprocessing
import pickle
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from job_recommendations import (
    ApiError,
    Client,
    ServiceUnreachableError,
    UnexpectedAnswerError,
)

from tests.support.answers import Asked, answer_for, answering, own_answer, response
from tests.support.service import ROOT

HTML = "Content-Type: text/html"
USERS = range(1, 5)
LARGE = "x" * 20_000_000


def job_of(client: Client, user: int) -> object:
    return client.recommend(user_id=user).jobs[0].job_id


def asks_for_its_own(client: Client, user: int) -> bool:
    return all(job_of(client, user) == user for _ in range(200))


@pytest.fixture
def server() -> Iterator[str]:
    with answering(own_answer) as address:
        yield address


FORKS = """
import os, sys
sys.path[:0] = sys.argv[2:]
from job_recommendations import Client
from tests.integration.test_python_client_connections import asks_for_its_own, job_of
client = Client(sys.argv[1])
assert job_of(client, 99) == 99  # its connection stays open
children = []
for user in range(1, 5):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if asks_for_its_own(client, user) else 1)
    children.append(pid)
assert asks_for_its_own(client, 99)
assert len(client._idle) == 1
assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0, 0]
"""


def test_f134_after_a_fork_each_process_gets_its_own_answers(server: str) -> None:
    # In a process of its own: this one has threads, which a fork would lose.
    subprocess.run(
        [sys.executable, "-c", FORKS, server, str(ROOT), str(ROOT / "clients/python")],
        check=True,
        timeout=60,
    )


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_f134_a_pool_of_processes_gets_a_client_of_its_own(
    server: str, method: str
) -> None:
    with Client(server, api_key="key") as client:
        job_of(client, 99)
        with multiprocessing.get_context(method).Pool(2) as pool:
            asked = [(client, user) for user in USERS]
            assert all(pool.starmap(asks_for_its_own, asked))
        assert job_of(client, 99) == 99


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301  (our own)


@pytest.mark.parametrize("again", [pickled, copy.copy, copy.deepcopy])
def test_f134_a_copy_opens_connections_of_its_own(server: str, again: Any) -> None:
    with Client(server, api_key="key", timeout_s=3) as client:
        job_of(client, 1)
        with again(client) as other:
            assert len(other._idle) == 0
            assert settings_of(other) == settings_of(client)
            assert job_of(other, 2) == 2
        assert len(client._idle) == 1


def settings_of(client: Client) -> dict[str, object]:
    return {name: each for name, each in vars(client).items() if name != "_idle"}


def test_f134_an_error_survives_the_way_out_of_a_pool_of_processes() -> None:
    error = pickled(ApiError(404, "No user has this user_id.", 2.0))
    assert (error.status, error.retry_after_s) == (404, 2.0)
    assert str(error) == "404: No user has this user_id."


def test_f134_threads_get_their_own_answers(server: str) -> None:
    with Client(server) as client, ThreadPoolExecutor(8) as pool:
        users = [1 + n % 8 for n in range(400)]
        assert list(pool.map(lambda user: job_of(client, user), users)) == users
        assert len(client._idle) <= 8


LEFT_OVER = {
    # HAProxy, nginx and others say so to a connection that idled too long.
    "a late 408": response(b"<html>", HTML, "Connection: close", status="408 Timeout"),
    "another user's answer": response(answer_for(4711)),
    "a longer body than was announced": b"}}}}",
}


@pytest.mark.parametrize("left_over", LEFT_OVER.values(), ids=LEFT_OVER)
def test_f134_bytes_after_a_response_are_not_a_response(left_over: bytes) -> None:
    came = threading.Event()

    def late(asked: Asked) -> bytes:
        user = json.loads(asked.body)["user_id"]
        if user == 1:
            asked.connection.sendall(own_answer(asked))
            seen.wait()
            asked.connection.sendall(left_over)
            came.set()
            return b""
        return own_answer(asked)

    seen = threading.Event()
    with answering(late) as address, Client(address) as client:
        assert job_of(client, 1) == 1
        seen.set()
        assert came.wait(10)
        assert [job_of(client, user) for user in (2, 3)] == [2, 3]


def test_f134_an_interim_answer_never_shifts_the_next_one() -> None:
    def answer(asked: Asked) -> bytes:
        is_odd = json.loads(asked.body)["user_id"] % 2
        status = b"103 Early Hints" if is_odd else b"100 Continue"
        return b"HTTP/1.1 %s\r\nLink: x\r\n\r\n" % status + own_answer(asked)

    with answering(answer) as address, Client(address) as client:
        for user in USERS:
            if user % 2:
                with pytest.raises(UnexpectedAnswerError, match=r"^the response 103 "):
                    job_of(client, user)
            else:
                assert job_of(client, user) == user


def test_f134_an_incomplete_response_is_retried() -> None:
    broken: list[Asked] = []

    def once(asked: Asked) -> bytes | None:
        if broken:
            return own_answer(asked)
        broken.append(asked)
        asked.connection.sendall(own_answer(asked)[:-10])
        return None

    with answering(once) as address, Client(address, backoff_s=0.01) as client:
        assert job_of(client, 7) == 7


def make_certificate(key: Path, certificate: Path) -> None:
    """A self-signed certificate for the loopback interface."""
    openssl = shutil.which("openssl")
    assert openssl, "apt-get install openssl"
    subprocess.run(
        [
            openssl, "req", "-x509", "-nodes", "-subj", "/CN=localhost",
            "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", str(key), "-out", str(certificate),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip


def test_f134_an_untrusted_certificate_is_reported_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make_certificate(key, certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with answering(own_answer, tls=context) as address:
        with (
            Client(address) as client,
            pytest.raises(ServiceUnreachableError, match="CERTIFICATE_VERIFY_FAILED"),
        ):
            job_of(client, 1)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with Client(address) as client:
            assert [job_of(client, user) for user in USERS] == list(USERS)
            assert len(client._idle) == 1
