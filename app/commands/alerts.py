"""Whose best jobs are new, and a CSV file of them; `webhook` sends them."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from app.deadline import Deadline
from app.errors import AppError, ConfigError
from app.storage.connection.database import Database
from app.storage.recommendations import NewJob, RecommendationTable

READ_TIMEOUT_S = 60.0
# Users per statement, and per request to a webhook.
ALERT_USERS = 200

Alerts = Iterator[Sequence[NewJob]]


def moment_of(text: str) -> datetime:
    """Parse ISO 8601, in UTC without an offset. Raises ConfigError, also for a time
    that is still to come.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            "--new-since should be `last` or a time such as 2026-01-31T12:00:00."
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment > datetime.now(UTC):
        raise ConfigError("--new-since is in the future, since when nothing is new.")
    return moment


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
    """Write one row per new job, all or none. Returns the number of users.

    Raises AppError if the file cannot be written.
    """
    try:
        return _write_csv(path, alerts)
    except OSError as error:
        raise AppError(f"{path} cannot be written: {error.strerror}.") from error


def _write_csv(path: Path, alerts: Alerts) -> int:
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
