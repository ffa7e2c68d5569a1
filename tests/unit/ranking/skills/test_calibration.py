"""Similarities of another model on the scale of the guide's."""

import numpy as np
import pytest

from app.backfill.switching import median_similarity
from app.ranking.skills.calibration import GUIDES_MEDIAN, UNCALIBRATED, Calibration
from app.ranking.skills.explain import explain
from app.ranking.skills.similarity_table import SimilarityTable
from app.ranking.skills.vocabulary import Vocabulary, encode_rows


def unit(count: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, 40))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


def crowded(rows: np.ndarray, share: float) -> np.ndarray:
    """The same vectors with a common part: cosines c become share + (1 - share) c."""
    common = np.full((len(rows), 1), share**0.5)
    return np.hstack([common, rows * (1 - share) ** 0.5]).astype(np.float32)


def vocabulary_of(vectors: np.ndarray, calibration: Calibration) -> Vocabulary:
    codes, exact = encode_rows(vectors)
    error = float(codes["error"].max())
    return Vocabulary(codes, exact, error, calibration=calibration)


def test_the_median_and_equal_skills_are_those_of_the_guide() -> None:
    found = Calibration(0.8).of(np.array([0.8, 1.0, 0.9]))
    assert found.tolist() == pytest.approx([GUIDES_MEDIAN, 1, (1 + GUIDES_MEDIAN) / 2])


def test_a_model_that_was_not_calibrated_keeps_its_similarities() -> None:
    given = np.array([0.25, 1.0], np.float32)
    assert UNCALIBRATED.of(given) is given
    assert UNCALIBRATED.slope == 1


def test_the_median_of_random_pairs_is_measured_without_zero_vectors() -> None:
    rows = crowded(unit(200, 1), 0.7)
    assert median_similarity(rows) == pytest.approx(0.7, abs=0.01)
    assert median_similarity(np.vstack([rows, np.zeros_like(rows)])) == (
        pytest.approx(median_similarity(rows), abs=1e-12)
    )


def test_no_calibrated_similarity_is_off_by_more_than_the_bound() -> None:
    vectors, queries = crowded(unit(300, 1), 0.8), crowded(unit(9, 2), 0.8)
    calibration = Calibration(0.8)
    vocabulary = vocabulary_of(vectors, calibration)
    exact = vectors.astype(np.float64) @ queries.T.astype(np.float64)
    table = SimilarityTable(vocabulary, queries)
    off = np.abs(table.values[:-1] - calibration.of(exact))
    assert 0 < off.max() <= table.error
    table.refine(np.arange(300, dtype=np.int32))
    assert np.abs(table.values[:-1] - calibration.of(exact)).max() < 1e-6
    assert (table.values[-1] == 0).all()


def test_explanations_are_those_of_the_model_without_the_common_part() -> None:
    mine, theirs = unit(3, 1), np.vstack([unit(3, 1)[:1], unit(4, 2)])
    names, others = ["a", "b", "c"], ["x", "y", "z", "v", "w"]
    plain = explain(names, mine, others, theirs)
    share = 0.75
    # The guide's median of the same vectors without the common part would be 0.
    calibration = Calibration(GUIDES_MEDIAN + (1 - GUIDES_MEDIAN) * share)
    found = explain(
        names,
        crowded(mine, share),
        others,
        crowded(theirs, share),
        calibration=calibration,
    )
    assert found.score == pytest.approx(plain.score, abs=1e-5)
    assert found.missing == plain.missing
    uncalibrated = explain(names, crowded(mine, share), others, crowded(theirs, share))
    assert uncalibrated.score > plain.score + 0.1
