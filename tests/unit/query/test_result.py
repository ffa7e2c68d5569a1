"""Timings and volumes of a batch."""

import itertools
import time

import pytest

from app.query.result import Stopwatch, Timings, Volume


def test_a_stopwatch_counts_the_milliseconds_of_each_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moments = itertools.accumulate([100.0, 0.25, 10.0, 1.5])
    monkeypatch.setattr(time, "perf_counter", lambda: next(moments))
    watch = Stopwatch()
    assert watch.timings() == Timings(0.0, 0.0)
    with watch("encode"):
        assert watch.timings().encode_ms == 0.0
    with pytest.raises(ZeroDivisionError), watch("scan"):
        _ = 1 / 0
    assert watch.timings() == Timings(encode_ms=250.0, scan_ms=1500.0)


def test_volumes_add_up() -> None:
    assert Volume(rows=3, bytes=40) + Volume(rows=4, bytes=50) == Volume(7, 90)
