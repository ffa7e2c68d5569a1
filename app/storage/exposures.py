"""Exposures in Postgres: which jobs were shown to whom, in `recommender.exposure`."""

import json
import time
from collections.abc import Iterator, Sequence

from psycopg2.sql import SQL

from app.deadline import Deadline
from app.query.exposure import (
    Exposure,
    OnlineReport,
    Preferences,
    Reactions,
    StoredExposure,
)
from app.query.ids import Id
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.connection.transaction import Escaped, Transaction
from app.storage.feedback import user_key
from app.storage.sql import load

QUERIES = load("exposures")

# The newest ones: the report is to be ready within the time of a health probe.
REPORTED_ANSWERS = 20_000


class ExposureStore:
    """Stores exposures, and reports what became of them."""

    def __init__(self, database: Database) -> None:
        """`database`: one that takes writes."""
        self._database = database

    def record(self, exposures: Sequence[Exposure], deadline: Deadline) -> None:
        """Store all, or none. Those of unknown users are left out."""
        with self._database.write(deadline) as transaction:
            catalogue = Catalogue.read(transaction)
            rows = json.dumps(list(_rows(catalogue, exposures)))
            query = QUERIES["record"].format(
                users=Escaped(catalogue.users.identifier),
                user_type=SQL(catalogue.user_id.cast),
            )
            transaction.execute(query, {"rows": rows})

    def forget(self, days: int, deadline: Deadline) -> int:
        """Delete those that are older, and return their number."""
        with self._database.write(deadline) as transaction:
            return transaction.execute(QUERIES["forget"], {"days": days})

    def report(self, deadline: Deadline) -> OnlineReport:
        """As `online_report`."""
        with self._database.snapshot(deadline) as transaction:
            return online_report(transaction)


def exposures_of(transaction: Transaction, user_id: Id) -> list[StoredExposure]:
    """The answers that a user got, newest first. Raises UserNotFoundError for an id
    that no user can have.
    """
    return _stored(transaction, "of_user", user_id)


def erase_exposures(transaction: Transaction, user_id: Id) -> list[StoredExposure]:
    """Delete them, and return them. The user may be deleted already."""
    found = _stored(transaction, "erase", user_id)
    return sorted(found, key=lambda exposure: exposure.at, reverse=True)


def online_report(transaction: Transaction) -> OnlineReport:
    """What users did with the jobs of the newest answers, REPORTED_ANSWERS at most."""
    most: dict[str, object] = {"most": REPORTED_ANSWERS}
    ((answers, users, since, *counts),) = transaction.rows(QUERIES["reactions"], most)
    return OnlineReport(
        answers,
        users,
        since,
        Reactions(*counts[:5]),
        Reactions(*counts[5:]),
        [Preferences(*row) for row in transaction.rows(QUERIES["preferences"], most)],
    )


def oldest_exposure_days(transaction: Transaction) -> float | None:
    """The age of the oldest answer in days; None without any."""
    age: float | None = transaction.rows(QUERIES["oldest"])[0][0]
    return age


def _rows(
    catalogue: Catalogue, exposures: Sequence[Exposure]
) -> Iterator[dict[str, object]]:
    now = time.monotonic()
    for exposure in exposures:
        user = catalogue.user_id.parse(exposure.user_id)
        if user is not None:
            yield {
                "user_id": str(user),
                "age_s": now - exposure.shown_at,
                "job_ids": [str(job) for job in exposure.job_ids],
                "is_first_page": exposure.is_first_page,
                "compared": exposure.compared,
                "teams": exposure.teams,
            }


def _stored(transaction: Transaction, name: str, user_id: Id) -> list[StoredExposure]:
    user, _ = user_key(transaction, Catalogue.read(transaction), user_id)
    return [
        StoredExposure(*row) for row in transaction.rows(QUERIES[name], {"user": user})
    ]
