"""Ids of texts and texts of ids, as the files of a vocabulary have them."""

import numpy as np
import pytest

from app.ranking.skills import skill_texts
from app.ranking.skills.skill_texts import NO_TEXTS, SKILL_TEXT, SkillTexts, text_row

NAMES = {1: "python", 2: "ingénieur système", 5: "c++"}


def texts() -> SkillTexts:
    rows, data = np.zeros(7, SKILL_TEXT), b""
    for id_, name in NAMES.items():
        rows[id_] = text_row(name, len(data))[0]
        data += name.encode()
    return SkillTexts(rows, np.frombuffer(data, np.uint8))


def test_each_skill_has_its_id_and_its_text() -> None:
    known = texts()
    ids = {name: id_ for id_, name in NAMES.items()}
    assert known.ids([*ids, "unheard of", ""]) == ids
    assert known.of([*NAMES, 0, 3, 7, -1]) == NAMES


def test_skills_of_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skill_texts, "word_hash", lambda _: 7)
    known = texts()
    assert known.ids(["c++", "python", "java"]) == {"c++": 5, "python": 1}


def test_no_texts_have_no_skills() -> None:
    assert NO_TEXTS.ids(["python"]) == {}
    assert NO_TEXTS.of([0, 1]) == {}
