"""One score of three parts: bounds, order, and what each part gives alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ranking.skills.hybrid_scoring import (
    WEIGHTS,
    match_scores,
    soft_credit,
    word_scores,
    word_shares,
)

share = st.floats(0, 1)


def test_credit_rises_evenly_from_the_floor_to_the_same_skill() -> None:
    found = soft_credit(np.array([-1, 0.3, 0.65, 1.0], np.float32), floor=0.3)
    assert found == pytest.approx([0, 0, 0.5, 1], abs=1e-5)


def test_a_skill_counts_whole_as_itself_in_spite_of_rounding() -> None:
    assert soft_credit(np.array([0.9999995]), floor=0.3)[0] == 1


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 0.9))
def test_a_more_similar_skill_never_credits_less(
    one: float, other: float, floor: float
) -> None:
    low, high = soft_credit(np.array(sorted([one, other])), floor=floor)
    assert 0 <= low <= high <= 1


@given(share, share, share)
def test_a_score_lies_between_its_least_and_its_greatest_part(
    cosine: float, skills: float, words: float
) -> None:
    parts = [cosine, skills, words]
    score = match_scores(*(np.array([part]) for part in parts))[0]
    assert min(parts) - 1e-12 <= score <= max(parts) + 1e-12


def test_a_cosine_below_zero_takes_nothing_away() -> None:
    zero = np.zeros(2)
    scores = match_scores(np.array([-0.4, 0.0]), zero, zero)
    assert scores.tolist() == [0, 0]


def test_parts_count_by_their_weights() -> None:
    weights = replace(WEIGHTS, cosine=1, skills=2, words=1)
    one = np.ones(1)
    assert match_scores(0 * one, one, 0 * one, weights=weights)[0] == 0.5
    assert match_scores(one, 0 * one, 0 * one, weights=weights)[0] == 0.25


def test_a_rarer_word_has_a_greater_share() -> None:
    shares = word_shares(np.array([0.0, 10.0, 500.0]), jobs=1000)
    assert shares.sum() == pytest.approx(1)
    assert shares[0] > shares[1] > shares[2] > 0


def test_a_word_that_every_job_holds_twice_still_has_a_share() -> None:
    assert word_shares(np.array([3.0]), jobs=3).tolist() == [1]


def test_a_question_without_words_scores_nothing() -> None:
    shares = word_shares(np.zeros(0), jobs=7)
    assert word_scores(np.zeros((2, 0)), shares, np.ones(2)).tolist() == [0, 0]


def test_words_score_more_the_more_of_them_and_the_shorter_the_list() -> None:
    shares = np.array([0.5, 0.5])
    counts = np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    both, short, long, none = word_scores(counts, shares, np.array([1, 1, 4, 1.0]))
    assert 1 > both > short > long > none == 0


def test_the_same_job_scores_the_same_beside_others() -> None:
    rng = np.random.default_rng(5)
    counts = rng.integers(0, 3, (300, 7)).astype(float)
    shares, lengths = word_shares(counts.sum(axis=0), jobs=300), np.ones(300)
    together = word_scores(counts, shares, lengths)
    for n in (0, 7, 299):
        alone = word_scores(counts[n : n + 1], shares, lengths[n : n + 1])
        assert alone[0] == together[n]
