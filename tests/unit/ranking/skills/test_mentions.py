"""Skills of the vocabulary that a text mentions, by its words."""

import numpy as np
import pytest

from app.ranking.skills.mentions import TextWords, mentions
from app.storage.skill_counts import SkillCounts
from tests.support.encoders import BlendEncoder
from tests.support.vocabulary import vocabulary_of

KEYS = [
    "truck driving",
    "driving",
    "nurse",
    "gas welding",
    "welding",
    "go",
    "to be",
    "care of the elderly",
    "python",
    "c++",
]
VOCABULARY = vocabulary_of(BlendEncoder(), KEYS)


def found(text: str, only: list[int] | None = None) -> dict[str, str]:
    """The text's words by the skill that they mention."""
    return {
        KEYS[each.skill_id - 1]: each.name
        for each in mentions(TextWords(text), VOCABULARY, only=only)
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Another order and another ending, and stop words in between.
        ("I am driving a truck.", {"truck driving": "driving a truck"}),
        ("Ten years as a nurse", {"nurse": "nurse"}),
        ("caring for elderly people", {"care of the elderly": "caring for elderly"}),
        # Two other words may stand between, not three.
        ("driving a heavy old diesel truck", {"driving": "driving"}),
        ("driving old heavy trucks", {"truck driving": "driving old heavy trucks"}),
        # Not beyond the end of a sentence, but beyond a comma.
        ("A truck. Driving it", {"driving": "Driving"}),
        ("A truck\nDriving it", {"driving": "Driving"}),
        ("the truck, driving it", {"truck driving": "truck, driving"}),
        # The longest one, unless the shorter one stands elsewhere as well.
        ("gas welding", {"gas welding": "gas welding"}),
        ("gas welding. Weld", {"gas welding": "gas welding", "welding": "Weld"}),
        # Two letters are a name only if they are written like one.
        ("I go there", {}),
        ("I write Go and C++", {"go": "Go", "c++": "C++"}),
        # A skill of stop words alone is never mentioned.
        ("to be or not to be", {}),
        ("", {}),
    ],
)  # fmt: skip
def test_skills_are_found_by_the_stems_of_their_words(
    text: str, expected: dict[str, str]
) -> None:
    assert found(text) == expected


def test_once_jobs_are_counted_only_skills_that_they_list_are_found() -> None:
    listed = np.array([0, 0, 3, 0, 0, 0, 0, 0, 0, 1], np.int32)  # driving, python
    counted = vocabulary_of(BlendEncoder(), KEYS, SkillCounts(3, listed))
    words = TextWords("A nurse, driving a truck, writing Python and C++")
    assert [each.name for each in mentions(words, counted)] == ["driving", "Python"]


def test_named_skills_are_found_though_no_others_are() -> None:
    text = "gas welding as a nurse who is driving"
    assert found(text, only=[4, 5]) == {"gas welding": "gas welding"}
    assert found(text, only=[5]) == {"welding": "welding"}
    assert found(text, only=[]) == {}
