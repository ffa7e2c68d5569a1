"""How long a database that is away is waited for, and what is said of it."""

import threading
import time
from collections.abc import Callable

import pytest

from app.backfill.patience import retry_with_backoff
from app.errors import DatabaseUnavailableError

AWAY = DatabaseUnavailableError("The database is away.")


class Clock(threading.Event):
    """Time passes only while something waits for it, as the stop of a backfill."""

    def __init__(self, patch: pytest.MonkeyPatch, *, stops_after: int = 1000) -> None:
        super().__init__()
        self.now = 100.0
        self.pauses: list[float | None] = []
        self.stops_after = stops_after
        patch.setattr(time, "monotonic", lambda: self.now)

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout)
        self.now += timeout or 0.0
        return len(self.pauses) >= self.stops_after


def failing(times: int) -> Callable[[], str]:
    left = [AWAY] * times

    def action() -> str:
        if left:
            raise left.pop()
        return "done"

    return action


def test_each_pause_is_twice_the_one_before_and_five_seconds_at_most(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock(monkeypatch)
    found = retry_with_backoff(failing(7), stop=clock, patience_s=60.0)
    assert found == "done"
    assert clock.pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert caplog.messages[0] == "The database is away. Trying again in 0.2 s."
    assert len(caplog.messages) == 7


def test_it_gives_up_where_the_next_try_would_be_too_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    with pytest.raises(DatabaseUnavailableError, match="is away"):
        retry_with_backoff(failing(9), stop=clock, patience_s=1.0)
    # 0.2 and 0.4 s; 0.8 s more would be beyond the second.
    assert clock.pauses == [0.2, 0.4]


def test_who_stops_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, stops_after=2)
    with pytest.raises(DatabaseUnavailableError, match="is away"):
        retry_with_backoff(failing(9), stop=clock, patience_s=60.0)
    assert clock.pauses == [0.2, 0.4]
