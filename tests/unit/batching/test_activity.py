"""Gaps between passes, as background work sees them."""

import threading
import time
from collections.abc import Sequence

import pytest

from app.batching.activity import GAP_S, Traffic
from app.batching.batcher import PassScope
from app.deadline import Deadline

SCOPE = PassScope(deadline=Deadline.after(3600), abandoned=lambda: False)


def test_a_service_that_answered_nothing_yet_has_always_been_idle() -> None:
    traffic = Traffic()
    assert traffic.idle_s() == float("inf")
    traffic.wait_for_gap(0)


def test_results_and_errors_pass_through() -> None:
    traffic = Traffic()

    def double(questions: Sequence[int], _scope: PassScope) -> list[int]:
        return [question * 2 for question in questions]

    assert traffic.observed(double)([1, 2], SCOPE) == [2, 4]
    with pytest.raises(ZeroDivisionError):
        traffic.observed(lambda _q, _s: [1 // 0])([1], SCOPE)
    assert traffic.idle_s() < 10


def test_a_running_pass_is_no_gap_and_its_end_is_noticed() -> None:
    traffic = Traffic()
    running, may_end = threading.Event(), threading.Event()

    def last(_questions: object, _scope: object) -> list[int]:
        running.set()
        may_end.wait()
        return []

    thread = threading.Thread(target=traffic.observed(last), args=([1], SCOPE))
    thread.start()
    running.wait()
    assert traffic.idle_s() == 0.0
    start = time.monotonic()
    traffic.wait_for_gap(0.05)
    assert time.monotonic() - start >= 0.05
    may_end.set()
    traffic.wait_for_gap(60)
    thread.join()
    assert traffic.idle_s() >= GAP_S
