"""The hybrid score: its range, order and parts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ranking.skills.hybrid_scoring import (
    HYBRID_WEIGHTS,
    match_scores,
    open_share,
    soft_credit,
    word_scores,
    word_shares,
)

share = st.floats(0, 1)


def test_credit_rises_evenly_from_the_floor_to_the_same_skill() -> None:
    even = replace(HYBRID_WEIGHTS, floor=0.3, power=1)
    found = soft_credit(np.array([-1, 0.3, 0.65, 1.0], np.float32), weights=even)
    assert found == pytest.approx([0, 0, 0.5, 1], abs=1e-5)


def test_a_power_of_two_favours_near_matches() -> None:
    squared = replace(HYBRID_WEIGHTS, floor=0.2, power=2)
    found = soft_credit(np.array([0.2, 0.6, 1.0]), weights=squared)
    assert found == pytest.approx([0, 0.25, 1], abs=1e-5)


def test_a_skill_counts_whole_as_itself_in_spite_of_rounding() -> None:
    assert soft_credit(np.array([0.9999995]))[0] == 1


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 0.9))
def test_a_more_similar_skill_never_credits_less(
    one: float, other: float, floor: float
) -> None:
    weights = replace(HYBRID_WEIGHTS, floor=floor)
    low, high = soft_credit(np.array(sorted([one, other])), weights=weights)
    assert 0 <= low <= high <= 1


@given(share, share, share, share)
def test_a_score_lies_between_its_least_and_its_greatest_part(
    cosine: float, skills: float, words: float, left: float
) -> None:
    parts = [cosine, skills, words]
    score = match_scores(*(np.array([part]) for part in parts), open_share=left)[0]
    assert min(parts) - 1e-12 <= score <= max(parts) + 1e-12


def test_a_cosine_below_zero_takes_nothing_away() -> None:
    zero = np.zeros(2)
    scores = match_scores(np.array([-0.4, 0.0]), zero, zero, open_share=1.0)
    assert scores.tolist() == [0, 0]


def test_parts_count_by_their_weights() -> None:
    weights = replace(HYBRID_WEIGHTS, cosine=1, skills=2, words=1)
    one = np.ones(1)
    zero = np.zeros(1)
    skills = match_scores(zero, one, zero, open_share=1.0, weights=weights)
    cosine = match_scores(one, zero, zero, open_share=1.0, weights=weights)
    assert (skills[0], cosine[0]) == (0.5, 0.25)


def test_the_whole_text_counts_for_what_the_board_does_not_know() -> None:
    assert open_share(np.array([1.0, 1.0])) == 0
    assert open_share(np.array([0.2, 0.5])) == 1
    assert open_share(np.array([1.0, 0.1])) == pytest.approx(0.5)
    assert open_share(np.zeros(0)) == 1
    one, zero = np.ones(1), np.zeros(1)
    assert match_scores(one, zero, zero, open_share=0.0)[0] == 0


def test_a_rarer_word_has_a_greater_share() -> None:
    shares = word_shares(np.array([0.0, 10.0, 500.0]), jobs=1000)
    assert shares.sum() == pytest.approx(1)
    assert shares[0] > shares[1] > shares[2] > 0


def test_a_word_that_every_job_holds_twice_still_has_a_share() -> None:
    assert word_shares(np.array([3.0]), jobs=3).tolist() == [1]


def test_a_query_without_words_scores_zero() -> None:
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


def test_words_count_alike_where_no_jobs_were_counted() -> None:
    assert word_shares(np.zeros(4), jobs=0).tolist() == [0.25] * 4
    assert word_shares(np.zeros(0), jobs=0).tolist() == []
