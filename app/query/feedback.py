"""Feedback: what a user did with a job."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.query.ids import Id

EventName = Literal["applied", "saved", "dismissed", "opened"]

# Jobs of a taste, the newest of each kind. Each is read with its embedding.
MAX_TASTE = 20


@dataclass(frozen=True)
class FeedbackChange:
    """An event to store, or to take back."""

    user_id: Id
    job_id: Id
    event: EventName
    undo: bool = False


@dataclass(frozen=True)
class StoredFeedback:
    """An event of a user, and when it was stored, in UTC."""

    job_id: Id
    event: EventName
    at: datetime


@dataclass(frozen=True)
class Taste:
    """The jobs that a user likes and dislikes, newest first, at most MAX_TASTE of each.

    `as_of`: the time of the newest event that counts, in microseconds since 1970; 0
    without events.
    """

    liked: Sequence[str] = ()
    disliked: Sequence[str] = ()
    as_of: int = 0


@dataclass(frozen=True)
class UserFeedback:
    """The events of a user, newest first: (event, microseconds since 1970, job_id)."""

    events: Sequence[tuple[str, int, str]] = ()

    @property
    def left_out(self) -> list[str]:
        """The jobs that are not to be recommended again."""
        return [
            job for event, _, job in self.events if event in ("applied", "dismissed")
        ]

    def taste(self, as_of: int | None = None) -> Taste:
        """The taste at this time, or now. A job that was dismissed is not liked."""
        known = [each for each in self.events if as_of is None or each[1] <= as_of]
        disliked = dict.fromkeys(job for event, _, job in known if event == "dismissed")
        liked = dict.fromkeys(job for _, _, job in known if job not in disliked)
        newest = known[0][1] if known else 0
        return Taste(tuple(liked)[:MAX_TASTE], tuple(disliked)[:MAX_TASTE], newest)


NO_FEEDBACK = UserFeedback()
