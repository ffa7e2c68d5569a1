"""What is prose, and how much of it is compared."""

import numpy as np
import pytest

from app.ranking.skills.mentions import Mention
from app.ranking.skills.parse import Skill, split_skills
from app.ranking.skills.prose import (
    MAX_CLAUSES,
    MAX_FURTHER,
    MAX_MENTIONS,
    PIECE_CHARS,
    READ_CHARS,
    asked_skills,
    clauses_of,
    is_prose,
    mean_vector,
    mentioned_in,
    pieces_of,
)
from app.storage.skill_counts import SkillCounts
from tests.support.encoders import BlendEncoder
from tests.support.vocabulary import vocabulary_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I worked ten years as a nurse", True),
        ("I look after cows, milk them twice a day and drive the tractor.", True),
        ("Managed a team of five engineers.\nPython, SQL", True),
        # Lists, of phrases too.
        ("driving a truck, loading", False),
        ("Python", False),
        ("Python, SQL, Docker.", False),
        ("caring for elderly people at home, preventing falls of older people", False),
        ("machine learning for images", False),
        ("", False),
    ],
)
def test_sentences_are_prose_and_lists_are_not(text: str, *, expected: bool) -> None:
    assert is_prose(text, split_skills(text)) is expected


def test_a_list_of_more_clauses_than_a_query_may_have_is_prose() -> None:
    clauses = [f"doing something useful number {n}" for n in range(65)]
    assert is_prose("; ".join(clauses), split_skills("; ".join(clauses)))
    assert not is_prose("; ".join(clauses[1:]), split_skills("; ".join(clauses[1:])))


def test_clauses_of_a_long_text_are_spread_to_its_end() -> None:
    skills = [Skill(str(n), str(n)) for n in range(10 * MAX_CLAUSES)]
    kept = [int(each.key) for each in clauses_of(skills)]
    assert kept == list(range(0, 10 * MAX_CLAUSES, 10))
    assert clauses_of(skills[:MAX_CLAUSES]) == skills[:MAX_CLAUSES]


def test_pieces_reach_the_end_of_a_text_and_are_few() -> None:
    assert pieces_of("x" * READ_CHARS) == ["x" * READ_CHARS]
    for size in (READ_CHARS + 1, 3000, 100_000):
        text = "".join(chr(ord("a") + n % 26) for n in range(size))
        first, *further = pieces_of(text)
        assert first == text
        assert text.endswith(further[-1])
        assert len(further) <= MAX_FURTHER
        assert {len(each) for each in further} == {PIECE_CHARS}


def test_the_mean_of_vectors_has_their_mean_direction() -> None:
    x, y = np.eye(2, dtype=np.float32)
    assert mean_vector([x]) is x
    assert mean_vector([x, y]).tolist() == pytest.approx([0.5**0.5] * 2)


def test_a_clause_counts_by_its_words_and_a_mention_does_not_repeat_it() -> None:
    clauses = [Skill("Baking of bread", "baking of bread"), Skill("SQL", "sql")]
    found = [Mention(5, "sql", 0, 1), Mention(6, "breads", 1, 1), Mention(7, "x", 2, 1)]
    asked = asked_skills(clauses, found, {5: "sql", 6: "bread"})
    assert asked.skills == [*clauses, Skill("breads", "bread")]
    assert list(asked.mentioned) == [6]
    assert asked.clauses == 2
    assert asked.factors.tolist() == [2, 1, 1]


def test_of_too_many_mentions_those_of_more_and_of_rarer_words_are_kept() -> None:
    keys = [f"word{n}" for n in range(MAX_MENTIONS + 10)] + ["two words"]
    listed = np.ones(len(keys) + 1, np.int32)
    listed[1:11] = 50  # the first ten are common
    vocabulary = vocabulary_of(BlendEncoder(), keys, SkillCounts(100, listed))
    text = " ".join([*keys, "and once more"])
    found = mentioned_in(text, vocabulary)
    kept = [*range(11, MAX_MENTIONS + 10), len(keys)]
    assert [each.skill_id for each in found] == kept
    again = mentioned_in(text, vocabulary, only=[1, *kept[:2]])
    assert [each.skill_id for each in again] == [1, *kept[:2]]


def test_a_form_counts_unless_no_job_lists_its_skill() -> None:
    listed = SkillCounts(3, np.array([0, 1, 0], np.int32))
    vocabulary = vocabulary_of(BlendEncoder(), ["kubernetes", "docker"], listed)
    forms = [Mention(1, "K8s", 0, 1), Mention(2, "D", 4, 1)]
    assert mentioned_in("K8s, D", vocabulary, forms) == forms[:1]
    assert mentioned_in("K8s, D", vocabulary, forms, only=[2]) == forms[1:]
