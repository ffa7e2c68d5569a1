"""Similarities of another model on the scale of the guide's, and what scores mean."""

import numpy as np
import pytest

from app.commands.calibration.scales import QUANTILES, fit_scale, pairs, quantiles
from app.commands.calibration.thresholds import labelled_thresholds, shared_thresholds
from app.query.result import Thresholds
from app.ranking.skills.calibration import (
    UNCALIBRATED,
    UNSCALED,
    Calibration,
    Scale,
)
from app.ranking.skills.explain import explain
from app.ranking.skills.similarity_table import SimilarityTable
from app.ranking.skills.vocabulary import Vocabulary, encode_rows

CROWDED = Scale((0.8, 0.9, 1.0), (0.1, 0.6, 1.0))


def unit(count: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, 40))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


def crowded(rows: np.ndarray, share: float) -> np.ndarray:
    """The same vectors with a common part: cosines c become share + (1 - share) c."""
    common = np.full((len(rows), 1), share**0.5)
    return np.hstack([common, rows * (1 - share) ** 0.5]).astype(np.float32)


def vocabulary_of(vectors: np.ndarray, scale: Scale) -> Vocabulary:
    codes, exact = encode_rows(vectors)
    error = float(codes["error"].max())
    return Vocabulary(codes, exact, error, calibration=Calibration(skills=scale))


def test_knots_and_equal_texts_are_those_of_the_guide() -> None:
    found = CROWDED.of(np.array([0.8, 0.85, 0.9, 0.95, 1.0]))
    assert found.tolist() == pytest.approx([0.1, 0.35, 0.6, 0.8, 1])
    # Beyond the ends the lines go on, so that the order stays.
    assert CROWDED.of(np.array([0.7, 1.1])).tolist() == pytest.approx([-0.4, 1.4])
    assert CROWDED.slope == pytest.approx(5)


def test_a_model_that_was_not_calibrated_keeps_its_similarities() -> None:
    given = np.array([0.25, 1.0], np.float32)
    assert UNSCALED.of(given) is given
    assert UNSCALED.slope == 1
    assert Calibration.of_json(None) is UNCALIBRATED


def test_what_is_stored_is_what_is_read() -> None:
    given = Calibration(CROWDED, UNSCALED, {"hybrid": Thresholds(0.2, 0.4)})
    stored = given.to_json()
    found = Calibration.of_json(stored)
    similarities = np.linspace(0, 1, 50)
    assert (found.skills.of(similarities) == CROWDED.of(similarities)).all()
    assert found.texts.of(similarities) is similarities
    assert found.thresholds == given.thresholds
    assert found.stored == stored


def test_as_many_pairs_are_beyond_a_floor_as_by_the_guide() -> None:
    rng = np.random.default_rng(1)
    guides = np.clip(rng.normal(0.1, 0.12, 200_000), -1, 0.98)
    # In the same order, and crowded together.
    own = 0.75 + 0.25 * (guides + 1) ** 2 / 4
    scale = fit_scale(own, quantiles(guides, UNSCALED) or ())
    for quantile in QUANTILES:
        floor = np.quantile(guides, quantile)
        share = (scale.of(own) > floor).mean()
        assert share == pytest.approx((guides > floor).mean(), rel=0.05)


@pytest.mark.parametrize(
    ("own", "knots"),
    [
        (np.zeros(0), 0),
        (np.linspace(0.2, 0.8, 30), 0),  # 15 pairs lie above the median
        (np.linspace(0.2, 0.8, 50), 1),
        (np.linspace(0.2, 0.8, 300), 2),
        (np.full(100_000, 0.999), 0),  # the digits of float32 would decide
        (np.full(100_000, 0.5), 1),  # no line has two guides for one value
    ],
)
def test_few_pairs_and_similarities_without_a_spread_have_few_knots(
    own: np.ndarray, knots: int
) -> None:
    scale = fit_scale(own, (0.1, 0.3, 0.5, 0.6, 0.8))
    assert len(scale.own) == (knots + 1 if knots else 0)


def test_pairs_are_those_of_vectors_with_a_direction() -> None:
    rows = crowded(unit(200, 1), 0.7)
    assert np.median(pairs(list(rows))) == pytest.approx(0.7, abs=0.01)
    some = [*rows, *np.zeros_like(rows)]
    assert np.median(pairs(some)) == pytest.approx(np.median(pairs(list(rows))))
    assert len(pairs(list(rows[:9]))) == 0


def test_no_calibrated_similarity_is_off_by_more_than_the_bound() -> None:
    vectors, queries = crowded(unit(300, 1), 0.8), crowded(unit(9, 2), 0.8)
    vocabulary = vocabulary_of(vectors, CROWDED)
    exact = vectors.astype(np.float64) @ queries.T.astype(np.float64)
    table = SimilarityTable(vocabulary, queries)
    off = np.abs(table.values[:-1] - CROWDED.of(exact))
    assert 0 < off.max() <= table.error
    table.refine(np.arange(300, dtype=np.int32))
    assert np.abs(table.values[:-1] - CROWDED.of(exact)).max() < 1e-6
    assert (table.values[-1] == 0).all()


def test_explanations_are_those_of_the_model_without_the_common_part() -> None:
    mine, theirs = unit(3, 1), np.vstack([unit(3, 1)[:1], unit(4, 2)])
    names, others = ["a", "b", "c"], ["x", "y", "z", "v", "w"]
    plain = explain(names, mine, others, theirs)
    share = 0.75
    scale = Scale((share, 1.0), (0.0, 1.0))
    found = explain(
        names, crowded(mine, share), others, crowded(theirs, share), scale=scale
    )
    assert found.score == pytest.approx(plain.score, abs=1e-5)
    assert found.missing == plain.missing
    uncalibrated = explain(names, crowded(mine, share), others, crowded(theirs, share))
    assert uncalibrated.score > plain.score + 0.1


def test_labels_say_from_which_score_on_enough_hits_are_right() -> None:
    scores = np.linspace(0.9, 0.3, 61)
    right = np.zeros(61, bool)
    right[:20] = True  # from 0.71 on all, from 0.61 on 20 of 30, from 0.51 on 20 of 40
    found = labelled_thresholds(scores, right)
    assert found == Thresholds(possible=0.51, strong=0.61)
    order = np.random.default_rng(1).permutation(61)
    assert labelled_thresholds(scores[order], right[order]) == found
    assert labelled_thresholds(scores[:20], right[:20]) is None
    assert labelled_thresholds(scores, np.zeros(61, bool)) is None


def test_hits_of_one_score_are_right_together() -> None:
    scores = np.repeat([0.8, 0.6, 0.4, 0.2], 20)
    right = np.zeros(80, bool)
    right[:25] = True
    assert labelled_thresholds(scores, right) == Thresholds(0.6, 0.8)
    right[:30] = True
    assert labelled_thresholds(scores, right) == Thresholds(0.4, 0.6)


def test_without_labels_as_many_hits_are_strong_as_before() -> None:
    rng = np.random.default_rng(1)
    others = rng.uniform(0, 1, 2000)
    own = 0.5 + 0.4 * rng.uniform(0, 1, 2000)
    found = shared_thresholds(own, others, Thresholds(possible=0.25, strong=0.75))
    assert found is not None
    assert found.possible == pytest.approx(0.6, abs=0.02)
    assert found.strong == pytest.approx(0.8, abs=0.02)
    assert (own >= found.strong).mean() == pytest.approx((others >= 0.75).mean())
    few = shared_thresholds(own[:9], others, Thresholds(possible=0.25, strong=0.75))
    assert few is None
