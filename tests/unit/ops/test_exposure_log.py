"""The log of shown jobs: its bound, its retries, and what closing stores."""

import threading
from collections.abc import Iterator, Sequence

import pytest

from app.deadline import Deadline
from app.errors import DatabaseUnavailableError
from app.ops import exposure_log
from app.ops.exposure_log import ExposureLog
from app.query.exposure import Exposure
from tests.support.waiting import wait_until


class Store:
    """Keeps what it gets, and fails as long as it is away."""

    def __init__(self) -> None:
        self.is_away = False
        self.stored: list[Exposure] = []
        self.attempts = 0
        self.forgotten: list[int] = []

    def record(self, exposures: Sequence[Exposure], deadline: Deadline) -> None:
        assert deadline.remaining_s()
        self.attempts += 1
        if self.is_away:
            raise DatabaseUnavailableError("The database is away.")
        self.stored += exposures

    def forget(self, days: int, deadline: Deadline) -> int:
        assert deadline.remaining_s()
        self.forgotten.append(days)
        return 0


def exposure(user: int) -> Exposure:
    return Exposure(user, [1, 2], is_first_page=True, shown_at=0.0)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def log(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[ExposureLog]:
    monkeypatch.setattr(exposure_log, "GATHER_S", 0.001)
    monkeypatch.setattr(exposure_log, "RETRY_PAUSE_S", 0.001)
    log = ExposureLog(store, days=90)  # type: ignore[arg-type]
    yield log
    log.close()


def test_answers_are_stored_in_their_order_and_old_ones_forgotten(
    log: ExposureLog, store: Store
) -> None:
    log.start()
    for user in range(5):
        log.add([exposure(user)])
    wait_until(lambda: len(store.stored) == 5, within_s=30)
    assert [each.user_id for each in store.stored] == list(range(5))
    assert store.forgotten == [90]


def test_closing_stores_what_waits(log: ExposureLog, store: Store) -> None:
    log.add([exposure(1)])
    log.start()
    log.close(timeout_s=30)
    assert len(store.stored) == 1


def test_what_cannot_be_stored_waits_within_a_bound(
    log: ExposureLog,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(exposure_log, "MAX_WAITING", 3)
    store.is_away = True
    log.start()
    log.add([exposure(1), exposure(2)])
    wait_until(lambda: store.attempts >= 3, within_s=30)
    log.add([exposure(3), exposure(4)])
    assert log.dropped == 1
    store.is_away = False
    wait_until(lambda: len(store.stored) == 3, within_s=30)
    assert [each.user_id for each in store.stored] == [1, 2, 3]
    assert caplog.messages == ["Shown jobs are not stored: The database is away."]


def test_adding_never_waits_for_the_database(
    log: ExposureLog, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store holds the thread; `add` returns nevertheless."""
    entered, go_on = threading.Event(), threading.Event()

    def hold(_exposures: Sequence[Exposure], _deadline: Deadline) -> None:
        entered.set()
        assert go_on.wait(30)

    monkeypatch.setattr(store, "record", hold)
    log.start()
    log.add([exposure(1)])
    assert entered.wait(30)
    log.add([exposure(2)])
    go_on.set()
