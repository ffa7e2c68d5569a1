"""Tests that measure time run while no other worker runs a test."""

import fcntl
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.alone import lock_file, locked, made_once, turn
from tests.support.waiting import wait_until


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The configuration of one of several workers."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return SimpleNamespace(workerinput={"testrunuid": "run"})


def is_held(path: Path) -> bool:
    try:
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def test_a_test_that_waits_to_be_alone_goes_before_those_after_it(worker: Any) -> None:
    order: list[str] = []

    def run(name: str, *, alone: bool) -> None:
        with turn(worker, alone=alone):
            order.append(name)

    gate = lock_file(worker, "gate")
    assert gate is not None
    measuring = Thread(target=run, args=("measuring",), kwargs={"alone": True})
    other = Thread(target=run, args=("other",), kwargs={"alone": False})
    with turn(worker, alone=False), turn(worker, alone=False):
        measuring.start()
        wait_until(lambda: is_held(gate), within_s=10)
        other.start()
        order.append("those that ran before")
    measuring.join(10)
    other.join(10)
    assert order == ["those that ran before", "measuring", "other"]


def test_without_workers_nothing_is_locked(tmp_path: Path) -> None:
    config: Any = SimpleNamespace()
    assert lock_file(config, "gate") is None
    with turn(config, alone=True), turn(config, alone=True), locked(None):
        pass


def test_the_second_worker_uses_the_folder_of_the_first(
    worker: Any, tmp_path: Path
) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        folder.mkdir()
        made.append(folder)

    found = []
    for name in ("gw0", "gw1"):
        factory: Any = SimpleNamespace(getbasetemp=lambda name=name: tmp_path / name)
        found.append(made_once(worker, factory, "shared", make))
    assert made == [tmp_path / "shared"]
    assert found == made * 2
