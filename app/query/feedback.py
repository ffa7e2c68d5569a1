"""Feedback: what a user did with a job."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.query.ids import Id

EventName = Literal["applied", "saved", "dismissed", "opened"]


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
