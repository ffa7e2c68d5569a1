"""When the keeper makes its next pass. What a pass does: tests/integration/replica/."""

from pathlib import Path

import numpy as np
import pytest

from app.deadline import Deadline
from app.errors import DatabaseUnavailableError
from app.ranking.retrieval.replica import keeper as keeper_module
from app.ranking.retrieval.replica.files import ReplicaManifest
from app.ranking.retrieval.replica.keeper import AFTER_ERROR_S, IDLE_S, ReplicaKeeper
from app.ranking.retrieval.replica.view import ReplicaView
from app.ranking.retrieval.replica.view_store import ViewStore
from app.storage.changes import XidSnapshot
from app.storage.connection.database import Database
from tests.support.mirrored import mirrored, stored_rows

MANIFEST = ReplicaManifest("table", "model", "integer", 8, "3:3:", "3:3:")


@pytest.fixture
def views() -> ViewStore:
    return ViewStore()


@pytest.fixture
def keeper(views: ViewStore, tmp_path: Path) -> ReplicaKeeper:
    """Of a database that is not asked."""
    database = Database("host=127.0.0.1 port=1", pool_size=1)
    return ReplicaKeeper(database, views, tmp_path, version="model")


def publish(views: ViewStore) -> None:
    rows = np.eye(2, 384, dtype=np.float32)
    stored = stored_rows(mirrored(np.arange(2), rows))
    snapshot = XidSnapshot("3:3:")
    views.publish(ReplicaView(MANIFEST, stored, snapshot, snapshot))


def test_a_replica_is_kept_and_what_cannot_be_kept_is_tried_again(
    keeper: ReplicaKeeper, views: ViewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "run_once", lambda: None)
    assert keeper._try_once() == AFTER_ERROR_S
    publish(views)
    assert keeper._try_once() == IDLE_S
    for error in (OSError(28, "No space left on device"), DatabaseUnavailableError()):

        def fail(error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(keeper, "run_once", fail)
        # What is there is still searched in.
        assert keeper._try_once() == AFTER_ERROR_S
        assert views.latest()


def test_what_nobody_expected_leaves_requests_to_the_full_scan(
    keeper: ReplicaKeeper,
    views: ViewStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(keeper, "run_once", fail)
    publish(views)
    assert keeper._try_once() == AFTER_ERROR_S
    assert views.latest() == []
    assert "The replica failed." in caplog.text


def test_requests_wake_the_keeper_only_where_there_is_a_replica(
    keeper: ReplicaKeeper, views: ViewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a table that cannot be followed it would look again and again, in vain."""
    monkeypatch.setattr(keeper_module, "GATHERED_S", 0.0)
    for can_wake in (False, True):
        views.wake_keeper()
        deadline = Deadline.after(3600 if can_wake else 0.02)
        keeper._wait(deadline, can_wake=can_wake)
        assert (deadline.remaining_s() > 0) is can_wake


def test_another_process_wakes_the_keeper_in_any_case(
    keeper: ReplicaKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "GATHERED_S", 0.0)
    monkeypatch.setattr(keeper_module, "LOOKED_AT_FILES_S", 0.01)
    stamps = iter([(1, 0), (1, 0), (2, 0)])
    monkeypatch.setattr(keeper, "_stamps", lambda: next(stamps))
    deadline = Deadline.after(3600)
    keeper._wait(deadline, can_wake=False)
    assert deadline.remaining_s() > 0
