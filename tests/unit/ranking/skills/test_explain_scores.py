"""Scores of explanations, with simple vectors."""

import numpy as np
import pytest
from numpy.typing import NDArray

from app.query.ids import Id
from app.query.result import Hit
from app.ranking.skills.explain import cosine, explain, hits
from app.ranking.skills.parse import split_skills
from app.ranking.skills.prepare import SkillQuery
from app.ranking.skills.prose import AskedSkills
from app.ranking.skills.vocabulary import Vocabulary, encode_rows
from app.ranking.top_k.heap import Scored
from app.ranking.top_k.pages import Page
from app.storage.skills import SkilledRow

Vector = NDArray[np.float32]


def vector(*head: float) -> Vector:
    """(384,) float32: these numbers, padded with zeros."""
    row = np.zeros(384, np.float32)
    row[: len(head)] = head
    return row


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (vector(3, 4), 0.6),
        (vector(15, 20), 0.6),  # a stored vector need not be of unit length
        (vector(0.03, 0.04), 0.6),
        (vector(-3, 4), -0.6),
        (vector(0, 2), 0.0),
        (vector(1e-20), 1.0),  # its square is not lost
    ],
)
@pytest.mark.parametrize("length", [1.0, 5.0, 1e-3])
def test_lengths_do_not_change_a_cosine(
    other: Vector, expected: float, length: float
) -> None:
    found = cosine(vector(length), other)
    assert found == pytest.approx(expected, abs=1e-6)
    back = cosine(other, vector(length))
    assert back == pytest.approx(expected, abs=1e-6)


def test_a_cosine_has_six_digits() -> None:
    assert cosine(vector(1), vector(1, 2)) == 0.447214


@pytest.mark.parametrize(
    "other", [None, vector(), vector(np.nan), vector(np.inf), vector(1, -np.inf)]
)
def test_a_zero_vector_has_no_cosine(other: Vector | None) -> None:
    assert cosine(vector(1), other) is None


def test_the_vectors_that_are_compared_stay_as_they_are() -> None:
    a, b = vector(3, 4), vector(5)
    cosine(a, b)
    assert (a == vector(3, 4)).all()
    assert (b == vector(5)).all()


def test_each_skill_is_paired_with_the_most_similar_one_of_the_row() -> None:
    mine = np.stack([vector(1), vector(0, 1), vector(0, 0, 1)])
    theirs = np.stack([vector(0, 0.6, 0.8), vector(0.8, 0.6), vector(1)])
    why = explain(["a", "b", "c"], mine, ["x", "y", "z"], theirs)
    pairs = {p.skill: (p.other, p.similarity) for p in [*why.matched, *why.close]}
    assert pairs["a"] == ("z", 1.0)
    # Of equal ones the first in the row's text.
    assert pairs["b"] == ("x", 0.6)
    assert pairs["c"] == ("x", 0.8)
    assert why.missing == []


def row(
    id_: int,
    skills: str | None,
    skill_ids: list[int] | None,
    embedding: Vector | None = None,
    columns: dict[str, object] | None = None,
) -> SkilledRow:
    ids = None if skill_ids is None else np.array(skill_ids, np.int32)
    return SkilledRow(id_, skills, ids, embedding, columns)


@pytest.fixture
def vocabulary() -> Vocabulary:
    """Skill 0 is like "a", skill 1 like "b", skill 2 like neither."""
    vectors = np.stack([vector(1), vector(0, 1), vector(0, 0, 1)])
    codes, exact = encode_rows(vectors)
    return Vocabulary(codes, exact, float(codes["error"].max()))


def told(vocabulary: Vocabulary, row: SkilledRow, **scores: float) -> Hit:
    skills = split_skills("a, B")
    query = SkillQuery("a, B", AskedSkills(skills), None, b"")
    vectors = {"a": vector(1), "b": vector(0, 1)}
    by_id: dict[Id, float] = {int(id_[1:]): score for id_, score in scores.items()}
    ranked = [Scored(id_, score) for id_, score in by_id.items()]
    (hit,) = hits(
        query,
        vectors,
        vector(0.6, 0.8),
        [row],
        vocabulary,
        written={row.id: split_skills(row.skills or "")},
        weights=np.array([0.25, 0.75]),
        length_penalty=0.2,
        parts=[None],
        page=Page(list(by_id), ranked, None),
    )
    return hit


def test_a_hit_tells_of_its_row_what_was_ranked_by_and_why(
    vocabulary: Vocabulary,
) -> None:
    hit = told(
        vocabulary, row(7, "z, B, y", [2, 1, 2], vector(0, 3), {"city": "Bern"}), _7=0.9
    )
    assert (hit.id, hit.text, hit.columns) == (7, "z, B, y", {"city": "Bern"})
    assert hit.similarity_score == 0.8
    assert hit.match_score == 0.9
    why = hit.explanation
    assert why is not None
    # "B" counts for three quarters; three skills are one more than two: 1 / 1.2.
    assert why.score == 0.625
    assert why.coverage == pytest.approx(1 / 3, abs=1e-6)
    assert [(p.skill, p.other, p.similarity) for p in why.matched] == [("B", "B", 1.0)]
    assert (why.close, why.missing) == ([], ["a"])


def test_what_was_not_ranked_has_the_score_of_its_explanation(
    vocabulary: Vocabulary,
) -> None:
    hit = told(vocabulary, row(7, "a", [0]), _8=0.9)
    assert hit.match_score == 0.25
    assert hit.similarity_score is None


@pytest.mark.parametrize("skill_ids", [None, [], [0], [0, 1, 2]])
def test_skills_that_are_still_to_be_split_are_not_explained(
    vocabulary: Vocabulary, skill_ids: list[int] | None
) -> None:
    hit = told(vocabulary, row(7, "a, b", skill_ids))
    assert (hit.explanation, hit.match_score) == (None, None)
    assert told(vocabulary, row(7, "a, b", skill_ids), _7=0.5).match_score == 0.5


def test_a_row_without_a_text_has_no_skills(vocabulary: Vocabulary) -> None:
    why = told(vocabulary, row(7, None, [])).explanation
    assert why is not None
    assert (why.score, why.coverage, list(why.missing)) == (0.0, 0.0, ["a", "B"])
