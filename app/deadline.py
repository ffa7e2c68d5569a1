"""The time by which an answer must be ready; every wait respects it."""

import time
from dataclasses import dataclass

from app.errors import DeadlineExceededError


@dataclass(frozen=True, order=True)
class Deadline:
    """`at` is a reading of `time.monotonic()`, in seconds."""

    at: float

    @classmethod
    def after(cls, timeout_s: float) -> "Deadline":
        return cls(time.monotonic() + timeout_s)

    def remaining_s(self) -> float:
        """Remaining seconds, never negative."""
        return max(0.0, self.at - time.monotonic())

    def check(self, doing: str) -> None:
        """Raise DeadlineExceededError, which names `doing`, after the deadline."""
        if self.remaining_s() == 0.0:
            raise DeadlineExceededError(
                f"The deadline passed while {doing}; try again in a moment."
            )
