"""A webhook that is told whose best jobs are new.

Requests are signed as Standard Webhooks (https://www.standardwebhooks.com) describes.
"""

import base64
import hmac
import json
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from hashlib import blake2b, sha256
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from app.commands.alerts import Alerts
from app.errors import AppError, ConfigError
from app.query.numbers import exact
from app.storage.recommendations import NewJob

ATTEMPTS = 6
BACKOFF_S = 1.0
# What Retry-After may ask for.
MAX_WAIT_S = 300.0
WEBHOOK_TIMEOUT_S = 15.0
AGAIN = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)


class _Refused(Exception):  # noqa: N818  (an answer, not a fault)
    """Why one request was not taken, for a sentence; None of `retry_after_s` if another
    try is in vain.
    """

    def __init__(self, why: str, *, retry_after_s: float | None) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Webhook:
    """An HTTP endpoint that takes signed requests."""

    url: str
    secret: bytes
    backoff_s: float = BACKOFF_S
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def of(cls, url: str, secret: str) -> "Webhook":
        """Raises ConfigError for a URL that is none, and without a secret."""
        if not _is_url(url):
            raise ConfigError(
                "--webhook should be a URL such as https://example.org/hook, without a"
                " user or password."
            )
        if not secret.strip():
            raise ConfigError(
                "--webhook needs ALERT_WEBHOOK_SECRET, with which requests are signed."
            )
        return cls(url, secret_bytes(secret))

    def send(self, alerts: Alerts) -> int:
        """Send all, some users after another. Returns the number of users.

        Raises AppError if the endpoint refuses a request, or every attempt fails.
        """
        users = 0
        for some in alerts:
            by_user = _by_user(some)
            body = json.dumps({"type": "jobs.new", "data": by_user}).encode()
            self._post(body)
            users += len(by_user)
        return users

    def _post(self, body: bytes) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._try(body)
            except _Refused as refused:
                asked_s = refused.retry_after_s
                if asked_s is None or attempt == ATTEMPTS:
                    raise AppError(
                        f"The webhook does not accept alerts: {refused}."
                    ) from refused
                self.sleep(max(asked_s, self.backoff_s * 2 ** (attempt - 1)))
            else:
                return

    def _try(self, body: bytes) -> None:
        request = urllib.request.Request(  # noqa: S310  (http or https, checked)
            self.url, body, self.headers(body), method="POST"
        )
        try:
            with _OPENER.open(request, timeout=WEBHOOK_TIMEOUT_S):
                return
        except urllib.error.HTTPError as error:
            error.close()
            is_passing = (
                error.code >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code in AGAIN
            )
            asked_s = retry_after_s(error.headers.get("Retry-After"))
            raise _Refused(
                f"it answers with the status {error.code}",
                retry_after_s=asked_s if is_passing else None,
            ) from error
        except (OSError, HTTPException) as error:
            raise _unreachable(error) from error

    def headers(self, body: bytes, *, now_s: int | None = None) -> dict[str, str]:
        """The headers of a request with this body, whose id is always the same."""
        digest = blake2b(body, digest_size=16).hexdigest()
        message, moment = f"msg_{digest}", str(now_s or int(time.time()))
        signed = b".".join([message.encode(), moment.encode(), body])
        signature = base64.b64encode(hmac.digest(self.secret, signed, sha256)).decode()
        return {
            "Content-Type": "application/json",
            "webhook-id": message,
            "webhook-timestamp": moment,
            "webhook-signature": f"v1,{signature}",
        }


def retry_after_s(value: str | None) -> float:
    """What a header Retry-After asks for, at most MAX_WAIT_S: seconds, or a date. 0
    for anything else (RFC 9110, section 10.2.3).
    """
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return min(float(text), MAX_WAIT_S)
    try:
        moment = parsedate_to_datetime(text)
        left_s = moment.timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(left_s, 0.0), MAX_WAIT_S)


def secret_bytes(secret: str) -> bytes:
    """The key: of `whsec_…` the decoded rest, of another text its bytes. White space
    around it, as of a file's last line, is no part of it. Raises ConfigError.
    """
    prefix = "whsec_"
    text = secret.strip()
    if not text.startswith(prefix):
        return text.encode("utf-8", "surrogateescape")
    try:
        key = base64.b64decode(text.removeprefix(prefix), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise ConfigError("ALERT_WEBHOOK_SECRET should be base64 after whsec_.")
    return key


def _is_url(text: str) -> bool:
    """Whether a request can be sent to it."""
    try:
        parts = urlsplit(text)
        host, _ = (parts.hostname or "").encode("idna"), parts.port
    except ValueError:
        return False
    is_plain = text.isascii() and text.isprintable() and " " not in text
    is_http = parts.scheme in ("http", "https")
    return is_plain and is_http and bool(host) and "@" not in parts.netloc


def _unreachable(error: Exception) -> _Refused:
    """No answer. A certificate does not become valid by asking again."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        why = f"its certificate is not valid ({reason.verify_message})"
        return _Refused(why, retry_after_s=None)
    name = reason if isinstance(reason, str) else type(reason).__name__
    return _Refused(f"it cannot be reached ({name})", retry_after_s=0.0)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def _by_user(jobs: Sequence[NewJob]) -> list[dict[str, Any]]:
    found: dict[object, list[dict[str, Any]]] = {}
    for job in jobs:
        found.setdefault(job.user_id, []).append(
            {
                "job_id": exact(job.job_id),
                "rank": job.rank,
                "similarity_score": job.similarity_score,
                "match_score": job.match_score,
            }
        )
    return [{"user_id": exact(user), "jobs": some} for user, some in found.items()]
