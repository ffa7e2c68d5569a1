"""Measures of ranking quality: ranks, ties, several right rows, intervals."""

import numpy as np
import pytest

from app.commands.calibration.intervals import interval
from evaluation.measures import Ranked, quality


def found(
    scores: list[float],
    right: list[int],
    *,
    seconds: list[float] | None = None,
) -> dict[str, float]:
    ranked = Ranked(
        np.array(scores),
        None if seconds is None else np.array(seconds),
    )
    measured = quality([ranked], [np.array(right)])
    names = ("MRR", "MAP", "RP@10", "P@10", "R@1", "R@3")
    return {name: float(measured.values(name)[0]) for name in names}


def test_the_first_right_row_decides_the_rank() -> None:
    measured = found([0.9, 0.8, 0.7, 0.6], [1, 3])
    assert measured["MRR"] == 0.5
    assert measured["MAP"] == (1 / 2 + 2 / 4) / 2
    assert measured["RP@10"] == 1
    assert measured["P@10"] == 0.2
    assert (measured["R@1"], measured["R@3"]) == (0, 1)


def test_equal_published_scores_are_ordered_by_the_second_score_then_the_place() -> (
    None
):
    assert found([0.5, 0.5000001], [1])["MRR"] == 0.5
    assert found([0.5, 0.5], [1], seconds=[0.1, 0.2])["MRR"] == 1


def test_an_interval_contains_the_mean_and_narrows_with_more_queries() -> None:
    few, many = np.tile([0.0, 1.0], 10), np.tile([0.0, 1.0], 1000)
    wide, narrow = interval(few, seed=1), interval(many, seed=1)
    assert wide.low <= wide.mean == 0.5 <= wide.high
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_equal_values_have_no_interval() -> None:
    sure = interval(np.full(20, 0.25), seed=1)
    assert [sure.low, sure.high] == pytest.approx([0.25, 0.25])
