"""Tell whose best jobs are new: into a CSV file, or to a webhook.

Requests are signed as Standard Webhooks (https://www.standardwebhooks.com) describes.
"""

import base64
import csv
import hmac
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import blake2b, sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any

from app.deadline import Deadline
from app.errors import AppError, ConfigError
from app.query.numbers import exact
from app.storage.connection.database import Database
from app.storage.recommendations import NewJob, RecommendationTable

READ_TIMEOUT_S = 60.0
# Users per statement, and per request to a webhook.
ALERT_USERS = 200

ATTEMPTS = 6
BACKOFF_S = 1.0
WEBHOOK_TIMEOUT_S = 15.0
AGAIN = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)

Alerts = Iterator[Sequence[NewJob]]


def moment_of(text: str) -> datetime:
    """Parse ISO 8601, in UTC without an offset. Raises ConfigError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            "--new-since should be `last` or a time such as 2026-01-31T12:00:00."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def new_jobs(database: Database, table: RecommendationTable, since: datetime) -> Alerts:
    """The new jobs of some users after another, all of a user together."""
    after = None
    while True:
        with database.snapshot(Deadline.after(READ_TIMEOUT_S)) as transaction:
            found = table.new_jobs(transaction, since, after=after, users=ALERT_USERS)
        if not found:
            return
        yield found
        after = found[-1].user_id


def write_csv(path: Path, alerts: Alerts) -> int:
    """Write one row per new job. Returns the number of users."""
    new = path.with_name(path.name + ".new")
    users = 0
    with new.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "rank", "job_id", "similarity_score",
                         "match_score", "since"])  # fmt: skip
        for some in alerts:
            users += len({job.user_id for job in some})
            for job in some:
                values = asdict(job) | {"since": job.since.isoformat()}
                writer.writerow(values.values())
    new.replace(path)
    return users


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
        if not url.startswith(("https://", "http://")):
            raise ConfigError("--webhook should be a URL that starts with https://.")
        if not secret:
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
        problem = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self.sleep(self.backoff_s * 2 ** (attempt - 1))
            request = urllib.request.Request(  # noqa: S310  (http or https, checked)
                self.url, body, self.headers(body), method="POST"
            )
            try:
                with _OPENER.open(request, timeout=WEBHOOK_TIMEOUT_S):
                    return
            except urllib.error.HTTPError as error:
                error.close()
                problem = f"it answers with the status {error.code}"
                if error.code < HTTPStatus.INTERNAL_SERVER_ERROR and (
                    error.code not in AGAIN
                ):
                    break
            except OSError as error:
                problem = f"it cannot be reached ({type(error).__name__})"
        raise AppError(f"The webhook does not accept alerts: {problem}.")

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


def secret_bytes(secret: str) -> bytes:
    """The key: of `whsec_…` the decoded rest, of another text its bytes."""
    prefix = "whsec_"
    if not secret.startswith(prefix):
        return secret.encode()
    return base64.b64decode(secret.removeprefix(prefix))


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
