"""Matched skills, with the real model."""

from collections.abc import Sequence

import numpy as np
import pytest

from app.encoder.lazy import LazyEncoder
from app.query.result import Explanation
from app.ranking.skills.explain import explain
from app.ranking.skills.parse import skill_key
from app.ranking.skills.scoring import FLOOR, MATCHED, discounts, match_credit
from tests.support.service import ROOT

MODEL = ROOT / "models" / "all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def encoder() -> LazyEncoder:
    return LazyEncoder(MODEL)


def compared(
    encoder: LazyEncoder, mine: Sequence[str], others: Sequence[str]
) -> Explanation:
    a = encoder.encode([skill_key(skill) for skill in mine])
    return explain(mine, a, others, encoder.encode([skill_key(o) for o in others]))


def kind(why: Explanation) -> str:
    return "matched" if why.matched else "close" if why.close else "missing"


@pytest.mark.parametrize(
    ("mine", "other", "expected"),
    [
        ("JavaScript", "JS", "matched"),
        ("Postgres", "PostgreSQL", "matched"),
        ("Node.js", "NodeJS", "matched"),
        ("MS Excel", "Microsoft Excel", "matched"),
        ("nursing care", "patient care", "close"),
        ("SQL", "SQL Server", "close"),
        ("Java", "JavaScript", "missing"),
        ("C", "C++", "missing"),
        ("Python", "SQL", "missing"),
        ("iOS", "Android", "close"),  # a false friend of the model's
        ("K8s", "Kubernetes", "missing"),  # an abbreviation that it does not know
    ],
)
def test_the_model_takes_one_skill_for_another(
    encoder: LazyEncoder, mine: str, other: str, expected: str
) -> None:
    why = compared(encoder, [mine], [other])
    assert kind(why) == expected


def test_the_lists_keep_the_order_and_share_out_every_skill(
    encoder: LazyEncoder,
) -> None:
    mine = ["Welding", "python", "SQL", "patient care"]
    why = compared(encoder, mine, ["Python", "nursing care", "SQL"])
    assert [(p.skill, p.other) for p in why.matched] == [
        ("python", "Python"),
        ("SQL", "SQL"),
    ]
    assert [(p.skill, p.other) for p in why.close] == [("patient care", "nursing care")]
    assert why.missing == ["Welding"]
    assert 0.5 < why.score < 0.75
    assert why.coverage > why.score  # all three skills of the other are there, nearly


def test_nothing_to_compare_with_is_a_share_of_nothing() -> None:
    none = np.empty((0, 384), np.float32)
    why = explain(["a"], np.eye(1, 384, dtype=np.float32), [], none)
    assert (why.score, why.coverage, why.missing) == (0.0, 0.0, ("a",))


def test_worth_rises_from_nothing_at_the_floor_to_one_for_the_same() -> None:
    assert match_credit(
        np.array([-1, 0.3, FLOOR, MATCHED, 0.999995, 1.0])
    ).tolist() == pytest.approx([0, 0, 0, 0.5, 1, 1], abs=1e-4)


def test_the_length_penalty_counts_skills_beyond_the_querys() -> None:
    left = discounts(2, length_penalty=0.2, sizes=9)
    assert left[[0, 1, 2, 3, 5, 9]].tolist() == pytest.approx(
        [1, 1, 1, 1 / 1.2, 1 / 1.4, 1 / 1.6]
    )
    assert (discounts(2, length_penalty=0, sizes=9) == 1).all()


def test_the_explained_score_has_the_discount_and_the_coverage_has_none() -> None:
    rows = np.eye(4, 384, dtype=np.float32)
    why = explain(["a"], rows[:1], ["a", "b", "c", "d"], rows)
    assert (why.score, why.coverage) == (round(1 / 1.3, 6), 0.25)
    assert (
        explain(["a"], rows[:1], ["a", "b", "c", "d"], rows, length_penalty=0).score
        == 1
    )
