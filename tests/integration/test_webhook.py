"""The webhook of alerts, attacked by what may answer, and by what is typed."""

import base64
import ssl
import threading
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.commands import webhook as module
from app.commands.webhook import (
    ATTEMPTS,
    MAX_WAIT_S,
    Webhook,
    retry_after_s,
    secret_bytes,
)
from app.errors import AppError, ConfigError
from app.storage.recommendations import NewJob
from tests.integration.test_python_client_connections import make_certificate
from tests.support.answers import Asked, answering, response

JOB = NewJob(1, 1, 7, 0.5, None, datetime(2026, 1, 1, tzinfo=UTC))


def sent(address: str) -> list[float]:
    """Send one alert. Returns the pauses before each further try."""
    waits: list[float] = []
    hook = Webhook.of(address, "key")
    Webhook(hook.url, hook.secret, sleep=waits.append).send(iter([[JOB]]))
    return waits


def in_seconds(seconds: int) -> str:
    return format_datetime(datetime.fromtimestamp(time.time() + seconds, UTC), True)


@pytest.mark.parametrize(
    ("value", "least_s", "most_s"),
    [
        ("7", 7, 7),
        ("0", 0, 0),
        (" 20 ", 20, 20),
        ("99999", MAX_WAIT_S, MAX_WAIT_S),
        pytest.param(in_seconds(3600), MAX_WAIT_S, MAX_WAIT_S, id="in an hour"),
        pytest.param(in_seconds(-3600), 0, 0, id="an hour ago"),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0, 0),
        ("soon", 0, 0),
        ("-5", 0, 0),
        ("1.5", 0, 0),
        ("9" * 5000, 0, 0),
        ("٣", 0, 0),
        (None, 0, 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(
    value: str | None, least_s: float, most_s: float
) -> None:
    assert least_s <= retry_after_s(value) <= most_s


@given(st.text() | st.datetimes().map(format_datetime))
def test_any_retry_after_is_a_pause_of_bounded_length(value: str) -> None:
    assert 0 <= retry_after_s(value) <= MAX_WAIT_S


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Unavailable"])
def test_a_webhook_that_asks_for_a_pause_gets_it(status: str) -> None:
    answers = [
        response(b"", "Retry-After: 30", status=status),
        response(b"", "Retry-After: whenever", status=status),
        response(b""),
    ]
    with answering(lambda _: answers.pop(0)) as address:
        assert sent(address) == [30, 2]


def test_a_refusal_is_final_whatever_pause_it_names() -> None:
    refusal = response(b"", "Retry-After: 1", status="410 Gone")
    with (
        answering(lambda _: refusal) as address,
        pytest.raises(AppError, match="it answers with the status 410"),
    ):
        assert sent(address)


@pytest.mark.parametrize(
    "answer",
    [
        None,  # closes without an answer
        b"\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 twohundred OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000,
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200 + b"\r\n",
    ],
)
def test_what_is_no_answer_is_tried_again_and_then_named(answer: bytes | None) -> None:
    asked: list[bytes] = []

    def answers(request: Asked) -> bytes | None:
        asked.append(request.body)
        return answer

    with (
        answering(answers) as address,
        pytest.raises(AppError, match=r"accept alerts: it cannot be reached \(\w+\)\."),
    ):
        sent(address)
    assert len(asked) == ATTEMPTS
    assert len(set(asked)) == 1


def test_a_webhook_that_stalls_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WEBHOOK_TIMEOUT_S", 0.05)
    over = threading.Event()

    def stalls(_: Asked) -> None:
        over.wait(60)

    with answering(stalls) as address:
        with pytest.raises(AppError, match="cannot be reached"):
            sent(address)
        over.set()


def test_a_certificate_that_is_not_valid_is_named_at_once(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make_certificate(key, certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    waits: list[float] = []
    with answering(lambda _: response(b""), tls=context) as address:
        hook = Webhook(address, b"key", sleep=waits.append)
        with pytest.raises(AppError, match="its certificate is not valid") as raised:
            hook.send(iter([[JOB]]))
    assert "self-signed certificate" in str(raised.value)
    assert waits == []


@pytest.mark.parametrize(
    "url",
    [
        "", "example.org", "https:", "https://", "http://:80/", "ftp://example.org",
        "https://example.org:port/", "https://example.org:99999/", "https:///hook",
        "https://me:secret@example.org/", "https://@/", "https://a b.org/",
        "https://example.org/a b", "https://example.org/\n", " https://example.org",
        "https://bücher.example/", "https://a..b/", f"https://{'a' * 64}.org/",
        "https://[::1/", "javascript:alert(1)",
    ],
)  # fmt: skip
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^--webhook should be a URL such as"):
        Webhook.of(url, "key")


@given(st.text(max_size=40).map(lambda rest: f"http://127.0.0.1:1/{rest}"))
def test_any_text_is_refused_or_asked(url: str) -> None:
    try:
        hook = Webhook.of(url, "key")
    except ConfigError:
        return
    never = Webhook(hook.url, b"key", sleep=lambda _: None)
    with pytest.raises(AppError, match="does not accept alerts"):
        never.send(iter([[JOB]]))


@pytest.mark.parametrize("address", ["HTTPS://example.org", "http://[::1]:8080/x?y=1"])
def test_urls_of_other_forms_are_taken(address: str) -> None:
    assert Webhook.of(address, "key").url == address


def test_a_secret_does_not_depend_on_white_space_around_it() -> None:
    key = b"a key of the team"
    for secret in (key.decode(), f"whsec_{base64.b64encode(key).decode()}"):
        for given_ in (secret, f"{secret}\n", f" {secret}\r\n"):
            assert secret_bytes(given_) == key


@pytest.mark.parametrize("secret", ["", " ", "\n"])
def test_a_webhook_needs_a_secret(secret: str) -> None:
    with pytest.raises(ConfigError, match="needs ALERT_WEBHOOK_SECRET"):
        Webhook.of("https://example.org", secret)


@pytest.mark.parametrize("rest", ["", "?", "abc", "YWJj YWJj", "YWJ", "ab\ud800"])
def test_a_secret_that_is_not_base64_is_refused(rest: str) -> None:
    with pytest.raises(ConfigError, match="should be base64 after whsec_"):
        Webhook.of("https://example.org", f"whsec_{rest}")
