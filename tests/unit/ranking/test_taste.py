"""How feedback moves a profile, and the reasons that it gives."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from app.query.ids import Id
from app.ranking.taste import AWAY, FEEDBACK_SHARE, TOWARDS, Pull
from app.storage.skills import SkilledRow

AXES = np.eye(384, dtype=np.float32)
PROFILE = 3 * AXES[0]


def pull(liked: Mapping[Id, int], disliked: Mapping[Id, int] | None = None) -> Pull:
    """Jobs along some axes, by id."""
    return Pull(
        {id_: AXES[axis].astype(np.float64) for id_, axis in liked.items()},
        {id_: AXES[axis].astype(np.float64) for id_, axis in (disliked or {}).items()},
        "",
        1,
    )


def job(id_: Id, embedding: NDArray[np.float32] | None) -> SkilledRow:
    return SkilledRow(id_, "", None, embedding)


def test_liked_jobs_pull_and_disliked_ones_push() -> None:
    moved = pull({1: 1}, {2: 2}).moved(PROFILE)
    expected = AXES[0] + TOWARDS / 2 * AXES[1] - AWAY / 2 * AXES[2]
    assert moved == pytest.approx(expected)
    assert moved.dtype == np.float32


def test_more_events_weigh_more_and_never_drown_the_profile() -> None:
    shares = []
    for count in (1, 3, 10, 20):
        moved = pull(dict.fromkeys(range(count), 1)).moved(PROFILE)
        shares.append(float(moved[1] / moved[0]))
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] < TOWARDS <= 1
    far = pull({}, dict.fromkeys(range(20), 0)).moved(PROFILE)
    assert far @ PROFILE > 0


def test_no_feedback_moves_nothing() -> None:
    assert pull({}).moved(PROFILE) == pytest.approx(AXES[0])
    assert pull({}).share == 0
    assert pull({}).profile is None
    assert 0 < pull({1: 1}).share < pull({1: 1, 2: 2}).share < FEEDBACK_SHARE


def test_a_profile_that_feedback_would_cancel_stays() -> None:
    opposite = Pull({1: -AXES[0].astype(np.float64)}, {}, "", 1)
    many = Pull({}, {1: AXES[0].astype(np.float64)}, "", 1)
    for each in (opposite, many):
        moved = each.moved(PROFILE)
        assert np.linalg.norm(moved) > 0


def test_the_liked_jobs_are_the_profile_of_a_user_without_one() -> None:
    profile = pull({1: 1, 2: 2}).profile
    assert profile is not None
    assert profile == pytest.approx((AXES[1] + AXES[2]) / 2)


def test_a_reason_is_the_most_similar_liked_job_of_what_rose() -> None:
    liked = pull({7: 1, 8: 2}, {9: 3})
    rows = [
        job(1, AXES[1] + 0.1 * AXES[2]),
        job(2, AXES[2] + 0.1 * AXES[1]),
        job(3, AXES[0]),  # the profile itself: it fell
        job(4, AXES[3]),  # disliked
        job(5, None),
    ]
    assert liked.reasons(PROFILE, rows) == {1: 7, 2: 8}
    assert liked.reasons(None, rows[:2]) == {1: 7, 2: 8}
    assert pull({}, {9: 3}).reasons(PROFILE, rows) == {}


def test_equal_feedback_has_one_digest_and_other_feedback_another() -> None:
    assert pull({1: 1}).digest == pull({1: 1}).digest
    others = (pull({1: 2}), pull({}, {1: 1}), pull({1: 1, 2: 2}))
    assert len({each.digest for each in (pull({1: 1}), *others)}) == 4
