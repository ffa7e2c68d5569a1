"""Gaps between batches, as background work sees them."""

import threading
import time
from collections.abc import Sequence

import pytest

from app.batching.activity import GAP_S, IdleTracker
from app.batching.batcher import BatchScope
from app.deadline import Deadline

SCOPE = BatchScope(deadline=Deadline.after(3600), abandoned=lambda: False)


def test_a_service_that_answered_nothing_yet_has_always_been_idle() -> None:
    activity = IdleTracker()
    assert activity.idle_s() == float("inf")
    activity.wait_for_gap(0)


def test_results_and_errors_are_returned_unchanged() -> None:
    activity = IdleTracker()

    def double(queries: Sequence[int], _scope: BatchScope) -> list[int]:
        return [query * 2 for query in queries]

    assert activity.observed(double)([1, 2], SCOPE) == [2, 4]
    with pytest.raises(ZeroDivisionError):
        activity.observed(lambda _q, _s: [1 // 0])([1], SCOPE)
    assert activity.idle_s() < 10


def test_a_running_batch_is_no_gap_and_its_end_is_noticed() -> None:
    activity = IdleTracker()
    running, may_end = threading.Event(), threading.Event()

    def last(_questions: object, _scope: object) -> list[int]:
        running.set()
        may_end.wait()
        return []

    thread = threading.Thread(target=activity.observed(last), args=([1], SCOPE))
    thread.start()
    running.wait()
    assert activity.idle_s() == 0.0
    start = time.monotonic()
    activity.wait_for_gap(0.05)
    assert time.monotonic() - start >= 0.05
    may_end.set()
    activity.wait_for_gap(60)
    thread.join()
    assert activity.idle_s() >= GAP_S


def test_while_one_of_two_batches_runs_there_is_no_gap() -> None:
    activity = IdleTracker()
    scopes: list[BatchScope] = []

    def inner(_queries: object, scope: BatchScope) -> list[int]:
        scopes.append(scope)
        return []

    def outer(_queries: object, _scope: BatchScope) -> list[float]:
        activity.observed(inner)([1], SCOPE)
        return [activity.idle_s()]

    assert activity.observed(outer)([1], SCOPE) == [0.0]
    assert scopes == [SCOPE]
    assert activity.idle_s() > 0.0
