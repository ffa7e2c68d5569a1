"""How feedback changes the weights of a query's skills."""

import numpy as np
import pytest

from app.ranking.skills.favours import DISFAVOUR, FAVOUR, favoured, favours
from app.ranking.skills.parse import Skill
from app.ranking.skills.prepare import SkillQuery
from app.ranking.skills.prose import AskedSkills
from app.ranking.skills.vocabulary import Vocabulary, encode_rows
from app.ranking.taste import Pull, grown

AXES = np.eye(384, dtype=np.float32)
# The skill with the id n is along the axis n.
VOCABULARY = Vocabulary(*encode_rows(AXES[:5]), error=0.0)
SKILLS = AXES[:3]


def pull(liked: list[list[int]], disliked: list[list[int]]) -> Pull:
    return Pull(
        {},
        {},
        "",
        1,
        {n: np.array(ids, np.int32) for n, ids in enumerate(liked)},
        {-n: np.array(ids, np.int32) for n, ids in enumerate(disliked, start=1)},
    )


def test_skills_of_liked_jobs_count_for_more_and_of_dismissed_ones_for_less() -> None:
    found = favours(pull([[0, 4], [0, 1]], [[2]]), SKILLS, VOCABULARY)
    more, less = grown(FAVOUR, 2), grown(DISFAVOUR, 1)
    assert found == pytest.approx([1 + more, 1 + more / 2, 1 - less])


def test_a_weight_never_more_than_doubles_or_halves() -> None:
    for count in (1, 20, 1000):
        found = favours(pull([[0]] * count, [[1]] * count), SKILLS, VOCABULARY)
        assert 1 < found[0] < 1 + FAVOUR
        assert 1 - DISFAVOUR < found[1] < 1
        assert found[2] == 1


def test_jobs_without_known_skills_favour_none() -> None:
    found = favours(pull([[99], [-1]], []), SKILLS, VOCABULARY)
    assert found.tolist() == [1, 1, 1]


def test_a_query_without_feedback_or_text_is_unchanged() -> None:
    skill = Skill("a", "a")
    plain = SkillQuery("a", AskedSkills([skill]), None, b"")
    textless = SkillQuery(
        "a", AskedSkills([skill]), None, b"", pull=pull([[0]], []), is_textless=True
    )
    moved = SkillQuery("a", AskedSkills([skill]), None, b"", pull=pull([[0]], []))
    found = favoured({0: plain, 1: textless, 2: moved}, {"a": AXES[0]}, VOCABULARY)
    assert found[0] is plain
    assert found[1] is textless
    assert found[2].factors == pytest.approx([1 + grown(FAVOUR, 1)])
    assert plain.factors == pytest.approx([1])
