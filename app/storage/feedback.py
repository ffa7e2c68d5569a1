"""Feedback in Postgres: the events of users, in `recommender.feedback`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from psycopg2.sql import SQL, Composable

from app.deadline import Deadline
from app.errors import (
    AppError,
    InvalidInputError,
    JobNotFoundError,
    UserNotFoundError,
)
from app.query.feedback import EventName, FeedbackChange, StoredFeedback
from app.query.ids import Id
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.connection.transaction import Escaped, Transaction
from app.storage.sql import load

QUERIES = load("feedback")

# Events of one user: rankings read them with each request of that user. Requests at
# the same time may add a few more.
MAX_EVENTS = 10_000

# The ids as text, and the event.
_Key = tuple[str, str, EventName]


@dataclass(frozen=True)
class _Ids:
    """The ids of a change as the tables hold them, None where there is no row; the
    number of the user's events, and whether the change's is among them.
    """

    user: str | None
    job: str | None
    events: int
    is_stored: bool


class FeedbackStore:
    """Stores and reads feedback, each call in a transaction of its own."""

    def __init__(self, database: Database) -> None:
        """`database`: one that takes writes."""
        self._database = database

    def record(
        self, changes: Sequence[FeedbackChange], deadline: Deadline
    ) -> list[AppError | None]:
        """As `record_feedback`: all changes without an error of their own, or none."""
        with self._database.write(deadline) as transaction:
            return record_feedback(transaction, changes)

    def of_user(self, user_id: Id, deadline: Deadline) -> list[StoredFeedback]:
        """As `feedback_of`."""
        with self._database.snapshot(deadline) as transaction:
            return feedback_of(transaction, user_id)


def record_feedback(
    transaction: Transaction, changes: Sequence[FeedbackChange]
) -> list[AppError | None]:
    """Store events and take others back: for each change its error, or None.

    Repeating a change changes nothing. Of changes of the same event the last one
    counts. An event can be taken back after its user or its job was deleted.
    """
    catalogue = Catalogue.read(transaction)
    parsed = [_parsed(transaction, catalogue, change) for change in changes]
    some = [
        (*pair, change.event)
        for pair, change in zip(parsed, changes, strict=True)
        if isinstance(pair, tuple)
    ]
    found = iter(_ids(transaction, catalogue, some))
    final: dict[_Key, bool] = {}
    added: Counter[str] = Counter()
    errors: list[AppError | None] = []
    for change, pair in zip(changes, parsed, strict=True):
        if isinstance(pair, AppError):
            errors.append(pair)
            continue
        ids = next(found)
        user, job = ids.user or str(pair[0]), ids.job or str(pair[1])
        key = user, job, change.event
        is_there = not final[key] if key in final else ids.is_stored
        error = _error(ids, added=added[user], is_there=is_there)
        errors.append(None if change.undo else error)
        if errors[-1] is None:
            added[user] += (not change.undo) - is_there
            final[key] = change.undo
    for name, undo in (("store", False), ("undo", True)):
        _write(transaction, name, [key for key in final if final[key] is undo])
    return errors


def feedback_of(
    transaction: Transaction, user_id: Id, *, is_known_otherwise: bool = False
) -> list[StoredFeedback]:
    """The events of a user, newest first.

    Raises UserNotFoundError for an unknown user without events, unless something else
    is known of this user.
    """
    catalogue = Catalogue.read(transaction)
    user, is_known = user_key(transaction, catalogue, user_id)
    events = _stored(catalogue, transaction.rows(QUERIES["of_user"], {"user": user}))
    if not (events or is_known or is_known_otherwise):
        raise _unknown_user()
    return events


def erase_feedback(transaction: Transaction, user_id: Id) -> list[StoredFeedback]:
    """Delete all events of a user, who may be deleted already, and return them."""
    catalogue = Catalogue.read(transaction)
    user, _ = user_key(transaction, catalogue, user_id)
    events = _stored(catalogue, transaction.rows(QUERIES["erase"], {"user": user}))
    return sorted(events, key=lambda event: event.at, reverse=True)


def _parsed(
    transaction: Transaction, catalogue: Catalogue, change: FeedbackChange
) -> tuple[Id, Id] | AppError:
    """The ids in the types of their columns; an error if no row can have one."""
    user = catalogue.user_id.parse(change.user_id)
    if user is None or not transaction.holdable([user]):
        return _unknown_user()
    job = catalogue.job_id.parse(change.job_id)
    if job is None or not transaction.holdable([job]):
        return _unknown_job()
    return user, job


def _ids(
    transaction: Transaction,
    catalogue: Catalogue,
    asked: Sequence[tuple[Id, Id, EventName]],
) -> list[_Ids]:
    if not asked:
        return []
    users, jobs, events = (list(column) for column in zip(*asked, strict=True))
    given: dict[str, object] = {
        "users": users,
        "jobs": jobs,
        "events": events,
        "most": MAX_EVENTS,
    }
    return [_Ids(*row) for row in transaction.rows(_format("ids", catalogue), given)]


def _error(ids: _Ids, *, added: int, is_there: bool) -> AppError | None:
    """`added`: events of the user before this one in the same request."""
    if ids.user is None:
        return _unknown_user()
    if ids.job is None:
        return _unknown_job()
    if ids.events + added >= MAX_EVENTS and not is_there:
        return InvalidInputError(
            f"This user has {MAX_EVENTS} events, the maximum; take some back first."
        )
    return None


def _unknown_user() -> UserNotFoundError:
    return UserNotFoundError("No user has this user_id.")


def _unknown_job() -> JobNotFoundError:
    return JobNotFoundError("No job has this job_id.")


def _write(transaction: Transaction, name: str, keys: Sequence[_Key]) -> None:
    if not keys:
        return
    # In one order everywhere, so that two writers never wait for one another.
    users, jobs, events = zip(*sorted(keys), strict=True)
    transaction.execute(
        QUERIES[name],
        {"users": list(users), "jobs": list(jobs), "events": list(events)},
    )


def user_key(
    transaction: Transaction, catalogue: Catalogue, user_id: Id
) -> tuple[str, bool]:
    """The id of a user as text, and whether the user exists.

    Raises UserNotFoundError for an id that no user can have.
    """
    parsed = catalogue.user_id.parse(user_id)
    if parsed is None or not transaction.holdable([parsed]):
        raise _unknown_user()
    rows = transaction.rows(_format("user", catalogue), {"user": parsed})
    return (rows[0][0], True) if rows else (str(parsed), False)


def _stored(
    catalogue: Catalogue, rows: Iterable[tuple[str, EventName, object]]
) -> list[StoredFeedback]:
    """The events. A job whose id is not of today's type keeps its id as text."""
    parse = catalogue.job_id.parse
    return [
        StoredFeedback(job if (id_ := parse(job)) is None else id_, event, at)  # type: ignore[arg-type]  # as the driver returns it
        for job, event, at in rows
    ]


def _format(query: str, catalogue: Catalogue) -> Composable:
    types: Mapping[str, Composable] = {
        "user_type": SQL(catalogue.user_id.cast),
        "job_type": SQL(catalogue.job_id.cast),
    }
    return QUERIES[query].format(
        users=Escaped(catalogue.users.identifier),
        jobs=Escaped(catalogue.jobs.identifier),
        **types,
    )
