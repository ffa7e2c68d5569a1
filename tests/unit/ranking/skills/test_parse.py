"""Separators of skills, and equality of skills."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.ranking.skills.conjunctions import split_at_and
from app.ranking.skills.listing import CLOSING, OPENING, SEPARATOR
from app.ranking.skills.markup import plain_text
from app.ranking.skills.parse import (
    INVISIBLE,
    MAX_SKILL_CHARS,
    MAX_SKILLS,
    skill_key,
    split_skills,
    with_title,
)

TEXTS = st.one_of(
    st.text(max_size=300),
    st.text(alphabet="aBç/,;|()[]•- \n\t.1ﬁ", max_size=80),
)


def names(text: str) -> list[str]:
    return [skill.name for skill in split_skills(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Python, SQL;R | Excel", ["Python", "SQL", "R", "Excel"]),
        ("Python\nSQL\r\nR\u2028Go", ["Python", "SQL", "R", "Go"]),
        ("• Python • SQL ● R", ["Python", "SQL", "R"]),
        ("- Python\n* SQL\n1. R\n(2) Go", ["Python", "SQL", "R", "Go"]),
        ("数据分析，机器学习、写作", ["数据分析", "机器学习", "写作"]),  # noqa: RUF001
        # Not inside parentheses, unless they are never closed.
        ("Cloud (AWS, GAE, Azure), Go", ["Cloud (AWS, GAE, Azure)", "Go"]),
        ("a (b (c, d), e), f", ["a (b (c, d), e)", "f"]),
        ("Cloud (AWS, Go", ["Cloud (AWS", "Go"]),
        # Slashes between words, or with spaces around them.
        ("Java/Scala/Kotlin", ["Java", "Scala", "Kotlin"]),
        ("Arduino / Raspberry Pi", ["Arduino", "Raspberry Pi"]),
        ("react + node.js +\tmongo", ["react", "node.js", "mongo"]),
        ("C++ + Qt", ["C++", "Qt"]),
        ("C + + developer", ["C + + developer"]),
        ("5 + years of Java", ["5 + years of Java"]),
        ("HTML/CSS/JS", ["HTML", "CSS", "JS"]),
        # Slashes that are part of a name.
        *(
            (one, [one])
            for one in ("C/C++", "CI/CD", "TCP/IP", "PL/SQL", "I/O", "UI/UX", "24/7")
        ),
        ("client/server, A/B testing", ["client/server", "A/B testing"]),
        ("network/system administration", ["network/system administration"]),
        (".NET, C#, Node.js, F#", [".NET", "C#", "Node.js", "F#"]),
        ("10,000 rpm, 5", ["10,000 rpm", "5"]),
        ("five years of building bridges", ["five years of building bridges"]),
        ("Go, and Rust, etc.", ["Go", "Rust"]),
        # A heading is left out where something follows it.
        ("Skills\nPython", ["Python"]),
        ("Skills", ["Skills"]),
        # A dash separates in a line of its own, and belongs to an item of several.
        ("- Python - SQL - R", ["Python", "SQL", "R"]),
        ("- Python - pandas\n- R", ["Python - pandas", "R"]),
        # What is around the parts of an item is left out as well.
        ("'Python' and 'SQL'", ["Python", "SQL"]),
        ("'Python'/'Scala'", ["Python", "Scala"]),
        ("Kotlin and 'Java/Scala'", ["Kotlin", "Java", "Scala"]),
        # Two words of three letters are two skills.
        ("Vue/Dart", ["Vue", "Dart"]),
        (" , ;; -- \n ... ", []),
        ("", []),
    ],
)
def test_skills_are_split_where_they_are_listed(text: str, expected: list[str]) -> None:
    assert names(text) == expected


def test_one_skill_written_in_several_ways_is_kept_once_as_first_written() -> None:
    assert names("SQL, sql,  SQL , \uff33\uff31\uff2c, s\u200bql") == ["SQL"]
    assert skill_key("  Straße\tBau ") == "strasse bau"
    # "é" as one character and as two.
    assert skill_key("Caf\u00e9") == skill_key("CAFE\u0301")


@given(TEXTS)
@example("İ" * 300)
def test_the_key_of_a_key_is_itself(text: str) -> None:
    key = skill_key(text)
    assert skill_key(key) == key
    assert len(key) <= MAX_SKILL_CHARS


@given(TEXTS)
def test_each_skill_is_a_part_of_the_text_once_and_within_its_bounds(text: str) -> None:
    found = split_skills(text)
    keys = [skill.key for skill in found]
    assert len(set(keys)) == len(keys)
    for skill in found:
        assert skill.key == skill_key(skill.name)
        assert 0 < len(skill.name) <= MAX_SKILL_CHARS
        assert "\0" not in skill.key
        assert skill.name in INVISIBLE.sub("", plain_text(text))


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Truck driver", ["forklift", "Truck driver"]),
        (" Nurse,\n night shift/ICU ", ["forklift", "Nurse, night shift/ICU"]),  # whole
        ("FORKLIFT", ["forklift"]),  # listed
        (None, ["forklift"]),
        (" - ", ["forklift"]),
        ("n/a", ["forklift"]),
        ("x" * 300, ["forklift", "x" * MAX_SKILL_CHARS]),
    ],
)
def test_a_title_is_one_more_skill(title: str | None, expected: list[str]) -> None:
    found = with_title(split_skills("forklift"), title)
    assert [skill.name for skill in found] == expected


@given(TEXTS, TEXTS)
def test_a_title_adds_at_most_one_skill_that_is_compared_as_any(
    text: str, title: str
) -> None:
    skills = split_skills(text)
    found = with_title(skills, title)
    keys = [skill.key for skill in found]
    assert found[: len(skills)] == skills
    assert len(keys) - len(skills) in (0, 1)
    assert len(set(keys)) == len(keys)
    assert all(key and skill_key(key) == key for key in keys)


@given(TEXTS)
def test_splitting_is_idempotent(text: str) -> None:
    unbracketed = text.translate(dict.fromkeys(map(ord, OPENING + CLOSING)))
    keys = [skill.key for skill in split_skills(unbracketed)]
    names = [skill.name for skill in split_skills(unbracketed)]
    assert not any(SEPARATOR.search(name) for name in names)
    assert [skill.key for skill in split_skills(";".join(names))] == keys


@given(
    st.lists(st.sampled_from(["C/C++", "Go", "R (base, tidy)", ".NET", "data base"]))
)
def test_a_list_of_skills_is_split_at_any_separator(
    names: list[str],
) -> None:
    wanted = list(dict.fromkeys(names))
    for separator in (", ", ";", " | ", "\n• ", " / "):
        assert [skill.name for skill in split_skills(separator.join(names))] == wanted


def test_the_number_and_the_length_of_skills_are_bounded() -> None:
    assert len(split_skills(", ".join(map(str, range(1000))))) == MAX_SKILLS
    (long,) = split_skills("x" * 10_000)
    assert len(long.name) == len(long.key) == MAX_SKILL_CHARS


@pytest.mark.timeout(60)
def test_a_hostile_text_takes_time_in_proportion_to_its_length() -> None:
    pieces = (
        "(", "(,)", "/a", "- ", "1.", "[", "[]", "{", "<", "<!--", "<b>", "<script>",
        "&", "&amp;amp;", "&lt", '"', "'", "['", '["', "\\", ',"\\', "a and ", "& ",
        "* ", "**", "a:", "Skills: ", ". Skills: ", "a (basic) ", " 5 years", "1. 2. ",
        "o ", "·", "…", "\n1 a", "\t", "\n", "- 5", "\ue000", "İ", "<!-- -->", " ",
        "<style></style>",
    )  # fmt: skip
    for piece in pieces:
        for frame in ("{}", "[{}]", "('{}')", "- {}", "a {}:", "Skills {}"):
            split_skills(frame.format(piece * (20_000 // len(piece))))


def test_quotes_and_full_stops_part_no_pair() -> None:
    assert names('"food" & beverages.') == names('"food" & beverages')
    assert len(names('"food" & beverages.')) == 1
    for ends_list in (True, False):
        found = split_at_and('food and beverages".', ends_list=ends_list)
        assert found == ['food and beverages".']


def test_a_quote_without_its_other_one_is_no_part_of_a_skill() -> None:
    assert names('"C, Go') == ["C", "Go"]
    assert names('" R, Ada"') == ["R", "Ada"]
    assert names('C#", 5" pipes, pipes of 5"') == ["C#", '5" pipes', 'pipes of 5"']


def test_scripts_and_comments_are_left_out_up_to_their_own_ends() -> None:
    assert names("a<script>b</script>, c") == ["a", "c"]
    assert names("a --> b<!-- c -->, d") == ["a --> b", "d"]
    assert names("<b>a</b>, b<!-- c, d") == names("a, b<!-- c, d")
    assert names("a</style>, <style>b</style>c") == ["a</style>", "c"]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Py\u200bthon", "python"),
        ("data\0science", "data science"),
        ("x" * (MAX_SKILL_CHARS - 1) + " y", "x" * (MAX_SKILL_CHARS - 1)),
    ],
)
def test_what_nobody_sees_is_not_in_a_key(name: str, key: str) -> None:
    assert skill_key(name) == key


def test_a_truncated_skill_ends_in_no_space() -> None:
    assert names("x" * (MAX_SKILL_CHARS - 1) + " y") == ["x" * (MAX_SKILL_CHARS - 1)]
