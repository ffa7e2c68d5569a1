"""Synonyms: equal skills, shown as written; ambiguous forms need context."""

import pytest

from app.ranking.skills.initials import is_short_form, spelled_out
from app.ranking.skills.parse import split_skills
from app.ranking.skills.synonyms import (
    Meaning,
    Synonyms,
    as_spelled_out,
    built_in,
    read_synonyms,
)


@pytest.fixture(scope="module")
def shipped() -> Synonyms:
    return built_in()


def forms(synonyms: Synonyms, text: str) -> list[tuple[str, str]]:
    return [(s.name, s.key) for s in synonyms.canonical(split_skills(text))]


def test_a_form_has_its_canonical_key_and_the_name_as_written(
    shipped: Synonyms,
) -> None:
    assert forms(shipped, "K8s, Postgres; HGV") == [
        ("K8s", "kubernetes"),
        ("Postgres", "postgresql"),
        ("HGV", "heavy goods vehicle driving"),
    ]


def test_two_forms_of_one_skill_are_one_skill(shipped: Synonyms) -> None:
    assert forms(shipped, "Kubernetes, K8s, k8s") == [("Kubernetes", "kubernetes")]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("PM, scrum, budgets", "project management"),
        ("PM, roadmaps, user interviews", "product management"),
        ("PM, hydraulics, bearings", "preventive maintenance"),
        ("RN, wound care, patients", "registered nurse"),
        ("RN, TypeScript, iOS", "react native"),
        ("BI, SQL, dashboards", "business intelligence"),
    ],
)
def test_an_ambiguous_form_takes_the_meaning_of_its_context(
    shipped: Synonyms, text: str, key: str
) -> None:
    assert forms(shipped, text)[0] == (text.split(",", maxsplit=1)[0], key)


@pytest.mark.parametrize("text", ["PM", "BI, gardening", "RN, cooking", "PM, PM"])
def test_an_ambiguous_form_without_context_stays_as_written(
    shipped: Synonyms, text: str
) -> None:
    name = text.split(",", maxsplit=1)[0]
    assert forms(shipped, text)[0] == (name, name.casefold())


def test_a_form_between_two_contexts_stays_as_written() -> None:
    synonyms = read_synonyms(["form,canonical,context", "pm,one,red", "pm,two,blue"])
    assert forms(synonyms, "PM, red, blue")[0][1] == "pm"


def test_mapping_twice_changes_nothing(shipped: Synonyms) -> None:
    once = shipped.canonical(split_skills("K8s, JS, PM, scrum, RN, patients, R&D"))
    assert shipped.canonical(once) == once


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ["a,b,", "b,c,"],
            (
                "Line 3 maps 'b', to which line 2 maps another form. Map both to the"
                " same canonical form."
            ),
        ),
        (["a,b,", "a,c,x"], "Line 3 gives 'a' a second meaning: each needs a context."),
        (["a,b,", "A,B,"], "Line 3 maps 'a' to 'b' again."),
        ([",b,"], "Line 2 lacks a form or a canonical form."),
        (["a,,"], "Line 2 lacks a form or a canonical form."),
    ],
)
def test_a_list_that_contradicts_itself_names_the_line(
    rows: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match="Line ") as raised:
        read_synonyms(["form,canonical,context", *rows])
    assert str(raised.value) == message


def test_the_shipped_list_has_some_hundred_pairs(shipped: Synonyms) -> None:
    assert len(shipped) >= 500


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("erp", "enterprise resource planning"),
        ("xml", "extensible markup language"),
        ("cots", "commercial off the shelf"),
        ("llms", "large language models"),
        ("mro", "maintenance, repair and operations"),
        ("cad", "computer-aided design"),
        ("eap", "expert advice program"),
        ("yes", "young engineers society"),
    ],
)
def test_initials_spell_a_long_form(short: str, long: str) -> None:
    assert is_short_form(short, long)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("pm", "project management"),  # two letters stand for too many things
        ("sql", "structured query"),
        ("erp", "enterprise planning"),
        ("java", "java"),
        ("", ""),
        ("c++", "c plus plus"),
        ("pms", "project management"),  # two letters with their plural
        ("erpx", "enterprise resource planning"),
    ],
)
def test_other_letters_spell_nothing(short: str, long: str) -> None:
    assert not is_short_form(short, long)


@pytest.mark.parametrize(
    ("pairs", "key"),
    [
        ({"a": "b", "b": "c"}, "c"),  # a canonical form that stands for another
        ({"a": "a"}, "a"),  # a form that stands for itself
        ({"a": "b", "b": "a"}, "a"),  # each for the other: the first by letter
        ({"a": "c", "c": "b", "b": "c"}, "b"),
    ],
)
def test_chains_of_forms_end_in_one(pairs: dict[str, str], key: str) -> None:
    meanings = {form: [Meaning(to, frozenset())] for form, to in pairs.items()}
    assert forms(Synonyms(meanings), "a") == [("a", key)]
    assert {k for form in pairs for _, k in forms(Synonyms(meanings), form)} == {key}


def test_a_meaning_without_a_context_holds_where_no_other_does() -> None:
    meanings = {"pm": [Meaning("one", frozenset()), Meaning("two", frozenset({"red"}))]}
    assert forms(Synonyms(meanings), "PM, blue")[0][1] == "one"
    assert forms(Synonyms(meanings), "PM, red")[0][1] == "two"


@pytest.mark.parametrize(
    ("key", "forms"),
    [
        ("team foundation server (tfs)", ("tfs", "team foundation server")),
        ("tfs (team foundation server)", ("tfs", "team foundation server")),
        ("extensible markup language xml", ("xml", "extensible markup language")),
        ("xml extensible markup language", ("xml", "extensible markup language")),
        ("java (spring)", None),
        ("project management (pm)", None),  # two letters stand for too many things
        ("css and sql server", None),
        ("sql", None),
        ("cloud (aws, azure)", None),
    ],
)
def test_a_key_that_names_both_forms(key: str, forms: tuple[str, str] | None) -> None:
    assert spelled_out(key) == forms


def test_what_a_text_spells_out_holds_for_all_of_it() -> None:
    skills = split_skills("OTS, Our Tool Suite (OTS); Java")
    found = [(skill.name, skill.key) for skill in as_spelled_out(skills)]
    assert found == [
        ("OTS", "our tool suite"),
        ("Our Tool Suite (OTS)", "our tool suite"),
        ("Java", "java"),
    ]
