"""The best rows by skills, against every row scored in float64, one by one."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.ranking.skills.parse import MAX_SKILLS
from app.ranking.skills.scorer import SkillTopK
from app.ranking.skills.scoring import LENGTH_PENALTY, discounts, match_credit
from app.ranking.skills.skill_scores import SkillQueries
from app.ranking.skills.vocabulary import Vocabulary, encode_rows
from app.ranking.top_k.bounds import Bounds
from app.ranking.top_k.heap import Scored
from app.storage.copy.skill_ids import SkillIdChunk
from app.storage.skill_counts import SkillCounts

Rows = Sequence[Sequence[int]]


def themed(count: int, seed: int) -> NDArray[np.float32]:
    """(count, 384) of unit length around five themes, some equal, some unrelated."""
    rng = np.random.default_rng(seed)
    themes = np.random.default_rng(5).standard_normal((5, 384))
    spread = rng.choice([0.0, 0.3, 0.7], (count, 1))
    rows = themes[rng.integers(0, 5, count)]
    rows = rows + spread * rng.standard_normal((count, 384))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


def vocabulary_of(
    vectors: NDArray[np.float32], counts: SkillCounts | None = None
) -> Vocabulary:
    codes, exact = encode_rows(vectors)
    return Vocabulary(codes, exact, float(codes["error"].max()), counts)


def chunk(rows: Rows, first: int) -> SkillIdChunk:
    """Rows with the ids from `first` on."""
    return SkillIdChunk(
        np.arange(first, first + len(rows)),
        np.concatenate([np.array(row, np.int32) for row in rows]),
        np.cumsum([0, *(len(row) for row in rows[:-1])]),
    )


def scanned(
    vocabulary: Vocabulary, queries: SkillQueries, rows: Rows, size: int
) -> SkillTopK:
    top = SkillTopK(vocabulary, queries)
    for first in range(0, len(rows), size):
        top.update(chunk(rows[first : first + size], first))
    assert top.analyzed == len(rows)
    return top


def by_hand(
    vocabulary: Vocabulary,
    vectors: NDArray[np.float32],  # (k, 384), of the query
    weights: NDArray[np.float64],
    rows: Rows,
    length_penalty: float,
) -> list[Scored]:
    """Every row, best first."""
    found = []
    for id_, row in enumerate(rows):
        skills = vocabulary.vectors(np.array(row, np.int32)).astype(np.float64)
        # A similarity is kept in float32.
        alike = np.einsum("ij,kj->ik", skills, vectors.astype(np.float64))
        alike = alike.astype(np.float32).astype(np.float64)
        share = float((match_credit(alike.max(axis=0)) * weights).sum())
        left = discounts(len(vectors), length_penalty=length_penalty, sizes=len(row))
        covered = float(match_credit(alike.max(axis=1)).mean())
        found.append(Scored(id_, round(share * left[-1], 6), round(covered, 6)))
    return sorted(found, key=lambda row: (-row.score, -row.second, row.id))


def assert_alike(found: Sequence[Scored], expected: Sequence[Scored]) -> None:
    """Check ids and scores; the last digit may differ, as sums have another order."""
    assert [row.id for row in found] == [row.id for row in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.score == pytest.approx(other.score, abs=1.1e-6)
        assert one.second == pytest.approx(other.second, abs=1.1e-6)


def lists(count: int, skills: int, seed: int) -> Rows:
    """Rows of up to six skills; a few are unknown."""
    rng = np.random.default_rng(seed)
    return [
        rng.integers(-1, skills + 2, rng.integers(1, 7)).tolist() for _ in range(count)
    ]


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 80),
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    cut=st.integers(1, 40),
    penalty=st.sampled_from([LENGTH_PENALTY, 0.0]),
    seed=st.integers(0, 2**20),
)
def test_the_best_are_those_of_all_scored_one_by_one(
    count: int, sizes: list[int], cut: int, penalty: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    vocabulary = vocabulary_of(themed(30, seed))
    rows = lists(count, 30, seed + 1)
    asked = themed(sum(sizes), seed + 2)
    # Skills of several queries are in any order, and two queries may share one.
    columns = np.split(rng.permutation(sum(sizes)), np.cumsum(sizes)[:-1])
    columns.append(columns[0])
    top_k = [int(k) for k in rng.integers(1, 12, len(columns))]
    queries = SkillQueries(asked, columns, top_k, length_penalty=penalty)
    top = scanned(vocabulary, queries, rows, cut)
    for number, own in enumerate(columns):
        weights = np.full(len(own), 1 / len(own))
        np.testing.assert_array_equal(top.weights[number], weights)
        expected = by_hand(vocabulary, asked[own], weights, rows, penalty)
        assert_alike(top.result(number), expected[: top_k[number]])


def test_rare_skills_count_for_more_and_given_weights_stay() -> None:
    vectors = themed(6, 1)
    listed = np.array([90, 1, 40, 2, 0, 7], np.int32)
    vocabulary = vocabulary_of(vectors, SkillCounts(100, listed))
    rows = [[0], [1], [0, 1], [2, 3], [4, 0], [5]]
    asked, columns = vectors[[0, 1]], [np.array([0, 1]), np.array([0, 1])]
    given_weights = np.array([0.75, 0.25])
    queries = SkillQueries(asked, columns, [6, 6], weights=[None, given_weights])
    top = scanned(vocabulary, queries, rows, 4)
    assert top.weights[0][1] > top.weights[0][0]
    assert top.weights[0].sum() == pytest.approx(1)
    assert top.weights[1].tolist() == given_weights.tolist()
    for number in (0, 1):
        weights = top.weights[number]
        expected = by_hand(vocabulary, asked, weights, rows, LENGTH_PENALTY)
        assert_alike(top.result(number), expected)


def test_pages_go_on_where_the_page_before_ended_and_leave_out_what_is_excluded() -> (
    None
):
    vocabulary = vocabulary_of(themed(30, 3))
    rows = lists(70, 30, 4)
    asked, columns = themed(3, 5), [np.arange(3)]
    expected = by_hand(vocabulary, asked, np.full(3, 1 / 3), rows, LENGTH_PENALTY)
    # No neighbours whose order depends on rounding.
    pages: list[Scored] = []
    while len(pages) < len(rows):
        bounds = Bounds(after=pages[-1] if pages else None)
        queries = SkillQueries(asked, columns, [9], bounds=[bounds])
        page = scanned(vocabulary, queries, rows, 16).result(0)
        assert len(page) == min(9, len(rows) - len(pages))
        pages += page
    assert_alike(pages, expected)
    bounds = Bounds(least=0.2, excluded=[row.id for row in expected[1:4]])
    queries = SkillQueries(asked, columns, [70], bounds=[bounds])
    found = scanned(vocabulary, queries, rows, 16).result(0)
    left = [expected[0], *expected[4:]]
    assert_alike(found, [row for row in left if row.score >= 0.2])


@pytest.mark.parametrize("count", [255, 256, 257, 600])
def test_many_that_fit_alike_go_by_coverage_and_then_by_id(count: int) -> None:
    vocabulary = vocabulary_of(themed(40, 7))
    # All have skill 3; every third has another skill too, which lowers its coverage.
    rows = [[3, 9] if n % 3 == 0 else [3] for n in range(count)]
    wanted = vocabulary.exact[[3, 9]]
    asked = SkillQueries(wanted, [np.array([0])], [count], length_penalty=0.0)
    found = scanned(vocabulary, asked, rows, count).result(0)
    alone = [n for n in range(count) if n % 3]
    both = [n for n in range(count) if n % 3 == 0]
    assert [row.id for row in found] == alone + both
    assert {row.score for row in found} == {1.0}
    assert {row.second for row in found[: len(alone)]} == {1.0}


def test_a_list_beyond_the_longest_costs_as_the_longest_does() -> None:
    vocabulary = vocabulary_of(themed(3, 8))
    rows = [[0] * length for length in (1, MAX_SKILLS, MAX_SKILLS + 5)]
    queries = SkillQueries(vocabulary.exact[:1], [np.array([0])], [3])
    best, *longest = scanned(vocabulary, queries, rows, 2).result(0)
    left = discounts(1, length_penalty=LENGTH_PENALTY, sizes=MAX_SKILLS)[-1]
    assert (best.id, best.score) == (0, 1.0)
    assert [(row.id, row.score) for row in longest] == [
        (1, round(float(left), 6)),
        (2, round(float(left), 6)),
    ]


def test_a_row_without_known_skills_fits_nothing() -> None:
    vocabulary = vocabulary_of(themed(3, 9))
    queries = SkillQueries(vocabulary.exact[:1], [np.array([0])], [3])
    found = scanned(vocabulary, queries, [[-1], [3, 4], [0]], 3).result(0)
    assert found == [Scored(2, 1.0, 1.0), Scored(0, 0.0, 0.0), Scored(1, 0.0, 0.0)]
