"""Counts of a query's words in rows of skill ids, and the scores made of them."""

import numpy as np
import pytest

from app.ranking.skills.hybrid_scoring import word_scores
from app.ranking.skills.word_scores import (
    WordCounts,
    WordIndex,
    approximate_scores,
    relative,
)
from app.storage.skill_counts import SkillCounts
from tests.support.encoders import BlendEncoder
from tests.support.vocabulary import vocabulary_of

KEYS = ["data science", "data entry", "welding"]
TWO_ROWS = np.array([1, 2, 3], np.int32), np.array([0, 2], np.intp)


def test_words_are_counted_in_each_row_whichever_query_they_belong_to() -> None:
    index = WordIndex(
        vocabulary_of(BlendEncoder(), KEYS), [["data", "weld"], [], ["data"]]
    )
    counted = index.count(*TWO_ROWS)
    assert counted.counts[:, index.columns[0]].tolist() == [[2, 0], [0, 1]]
    assert counted.counts[:, index.columns[1]].shape == (2, 0)
    assert counted.counts[:, index.columns[2]].tolist() == [[2], [0]]
    assert counted.lengths.tolist() == [4, 1]


def test_the_mean_length_is_that_of_the_jobs_that_were_counted() -> None:
    counts = SkillCounts(2, np.array([0, 1, 1, 1], np.int32))
    counted = vocabulary_of(BlendEncoder(), KEYS, counts)
    assert WordIndex(counted, [["data"]]).mean == 5 / 2
    assert WordIndex(vocabulary_of(BlendEncoder(), KEYS), [["data"]]).mean == 0


def test_queries_with_different_means_are_scored_by_their_own() -> None:
    words = WordCounts(np.array([[1.0, 0], [2, 1]]), np.array([1.0, 3]))
    shares = np.array([[0.5, 0.5], [1, 0], [0.25, 0.75]], np.float32)
    means = [2.0, 5.0, 2.0]
    found = approximate_scores(words, shares, means)
    for scores, own, mean in zip(found, shares.astype(float), means, strict=True):
        expected = word_scores(words.counts, own, relative(words.lengths, mean))
        assert scores.tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_without_a_mean_all_rows_are_equally_long() -> None:
    assert relative(np.array([1.0, 3]), 0).tolist() == [1, 1]
