"""Exposures: which jobs an answer showed to a user."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.query.ids import Id


@dataclass(frozen=True)
class Exposure:
    """The jobs of one answer, in their order.

    `compared`: the two settings of an interleaved answer. `teams`: which of them gave
    each job, A or B, or `-` for neither. `shown_at`: by `time.monotonic()`.
    """

    user_id: Id
    job_ids: Sequence[Id]
    is_first_page: bool
    shown_at: float
    compared: str | None = None
    teams: str | None = None


@dataclass(frozen=True)
class StoredExposure:
    """As `Exposure`, with the time in UTC."""

    at: datetime
    job_ids: Sequence[str]
    is_first_page: bool
    compared: str | None
    teams: str | None


@dataclass(frozen=True)
class Reactions:
    """Pairs of a user and a job shown to this user, and to how many of them the user
    reacted after that.
    """

    shown: int
    opened: int
    saved: int
    applied: int
    dismissed: int


@dataclass(frozen=True)
class Preferences:
    """Users of interleaved answers, by the setting whose jobs they opened, saved or
    applied to more often.
    """

    compared: str
    answers: int
    users: int
    prefer_a: int
    prefer_b: int


@dataclass(frozen=True)
class OnlineReport:
    """What users did with the jobs of the newest answers.

    `since`: the time of the oldest of these answers; None without any. `first_ten`: of
    the jobs that were among the first ten.
    """

    answers: int
    users: int
    since: datetime | None
    every: Reactions
    first_ten: Reactions
    comparisons: Sequence[Preferences] = ()
