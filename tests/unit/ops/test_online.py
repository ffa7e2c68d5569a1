"""The statistics of a comparison, and its sentences."""

from datetime import UTC, datetime

import pytest

from app.ops.online import Share, preference_sentence, report_lines, sign_test
from app.query.exposure import OnlineReport, Preferences, Reactions


@pytest.mark.parametrize(
    ("one", "other", "p"),
    [
        # R: binom.test(12, 17)$p.value, binom.test(1, 10), and so on.
        (5, 12, 0.143463134765625),
        (12, 5, 0.143463134765625),
        (1, 9, 0.021484375),
        (5, 5, 1.0),
        (0, 1, 1.0),
        (0, 0, 1.0),
    ],
)
def test_the_sign_test_is_exact(one: int, other: int, p: float) -> None:
    assert sign_test(one, other) == pytest.approx(p, abs=1e-9)


def test_the_sign_test_takes_many_users() -> None:
    assert sign_test(25_000, 25_000) == pytest.approx(1.0, abs=1e-6)
    assert 0 < sign_test(24_500, 25_500) < 1e-4


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [
        # R: prop.test(x, n, correct=FALSE)$conf.int
        (5, 17, 0.13284, 0.53132),
        (0, 10, 0.0, 0.27754),
        (10, 10, 0.72246, 1.0),
    ],
)
def test_the_interval_is_wilsons(
    part: int, whole: int, low: float, high: float
) -> None:
    share = Share.of(part, whole)
    assert (share.low, share.high) == pytest.approx((low, high), abs=2e-4)


def test_a_preference_is_one_sentence() -> None:
    some = Preferences("rank_by=hybrid|similarity", 90, 40, 12, 5)
    assert preference_sentence(some) == (
        "rank_by hybrid (A) with similarity (B), in 90 answers to 40 users: 12 prefer"
        " A, 5 B, 23 neither; B is preferred by 29.4% (13.3% to 53.1%), p = 0.143"
    )
    none = Preferences("diversity=0|0.3", 2, 1, 0, 0)
    assert preference_sentence(none) == (
        "diversity 0 (A) with 0.3 (B), in 2 answers to 1 user: 0 prefer A, 0 B,"
        " 1 neither"
    )


def test_a_report_is_a_sentence_and_one_per_comparison() -> None:
    nothing = Reactions(0, 0, 0, 0, 0)
    assert not list(report_lines(OnlineReport(0, 0, None, nothing, nothing)))
    report = OnlineReport(
        12,
        4,
        datetime(2026, 1, 31, tzinfo=UTC),
        Reactions(100, 20, 10, 2, 5),
        Reactions(50, 15, 8, 1, 5),
        [Preferences("diversity=0|0.3", 2, 1, 0, 0)],
    )
    first, second = report_lines(report)
    assert first == (
        "shown: 100 jobs in 12 answers to 4 users since 2026-01-31; opened 20.0%"
        " (13.3% to 28.9%), saved 10.0%, dismissed 5.0%, applied to 2.0% (0.4% to"
        " 10.5%) of the 50 among the first ten"
    )
    assert second.startswith("compared: diversity 0 (A) with 0.3 (B), in 2 answers")
