"""F111: formats of skill lists by people and programs."""

# ruff: noqa: RUF001  (dashes and letters that look like others are what is tested)

import pytest

from app.ranking.skills.parse import split_skills

BULLETS = (
    "•", "●", "▪", "◦", "‣", "■", "□", "✓", "✔", "➢", "❖", "★", "☐", "⦁", "⁃", "◆",
    "\uf0b7", "\uf0a7", "\uf0d8", "\uf0fc", "\uf076", "\ue000", "\x95", "â€¢",
)  # fmt: skip
MARKERS = ("-", "–", "—", "*", "+", ">", "»", "→", "·", "o", "#")


def names(text: str) -> list[str]:
    return [skill.name for skill in split_skills(text)]


@pytest.mark.parametrize(
    "text",
    [
        # JSON, also pretty-printed, with escapes, objects and groups.
        '["Python", "C++", "R&D"]',
        '[\n  "Python",\n  "C++",\n  "R&D"\n]\n',
        '["Pyth\\u006fn", "C\\u002b\\u002b", "R\\u0026D"]',
        '[{"name": "Python", "level": 5}, {"name": "C++"}, {"name": "R&D"}]',
        '[{"id": 7, "Skill": "Python"}, {"Skill": "C++"}, {"Skill": "R&D"}]',
        '{"Python": 5, "C++": "expert", "R&D": null}',
        '{"languages": ["Python", "C++"], "other": ["R&D"]}',
        '[["Python"], ["C++", null], "R&D", ""]',
        # Python: lists, tuples, sets, of any version.
        "['Python', 'C++', 'R&D']",
        "['Python', \"C++\", 'R&D',]",
        "('Python', 'C++', 'R&D')",
        "{'Python', 'C++', 'R&D'}",
        "[u'Python', u'C++', u'R&D']",
        "[{'skill': 'Python', 'years': None}, {'skill': 'C++'}, {'skill': 'R&D'}]",
        # Postgres, NumPy, YAML, R.
        '{Python,C++,"R&D"}',
        "{Python,C++,NULL,R&D}",
        "{{Python,C++},{R&D,NULL}}",
        "['Python' 'C++'\n 'R&D']",
        "[Python, C++, R&D]",
        # With a label before it.
        'Skills: ["Python", "C++", "R&D"]',
        "Languages: ['Python', 'C++']\nOther: ['R&D']",
        # In words and lines.
        "(Python, C++, R&D)",
        '"Python", "C++", "R&D"',
        "“Python”, «C++», 'R&D'",
        "`Python`, **C++**, ~~R&D~~",
    ],
)
def test_f111_a_list_as_a_literal_is_the_list(text: str) -> None:
    assert names(text) == ["Python", "C++", "R&D"]


def test_f111_text_that_only_looks_like_a_literal_is_unchanged() -> None:
    assert names("(See Job Description)") == ["(See Job Description)"]
    assert names("[a] and [b] tests") == ["[a] and [b] tests"]
    assert names("['Cloud (AWS, Azure)', \"O'Reilly\"]") == [
        "Cloud (AWS, Azure)", "O'Reilly",
    ]  # fmt: skip
    assert names('{"C\\"x", "a\\\\b"}') == ['C"x', "a\\b"]
    # Brackets inside a remark are part of it.
    assert names("(see [a], {b})") == ["see [a]", "{b}"]
    # Escapes of Python, whose strings JSON does not read.
    assert names("['Pyth\\x6fn', 'C\\u002b\\u002B', 'R\\&D', 'a\\tb']") == [
        "Python", "C++", "R&D", "a", "b",
    ]  # fmt: skip
    # Half a surrogate pair can be written in JSON, and neither stored nor sent.
    assert names('["\\ud800Go"]') == ["Go"]
    assert names("[]") == names("{}") == names('[null, ""]') == names("[[]]") == []


@pytest.mark.parametrize("bullet", BULLETS)
def test_f111_a_bullet_separates_wherever_it_stands(bullet: str) -> None:
    wanted = ["Python", "end-to-end tests", ".NET"]
    assert names(f"{bullet} " + f"\n{bullet} ".join(wanted)) == wanted
    assert names(f"{bullet}\t" + f"\r\n{bullet}\t".join(wanted)) == wanted
    assert names(bullet + bullet.join(wanted)) == wanted
    assert names(f" {bullet} ".join(wanted)) == wanted


@pytest.mark.parametrize("marker", MARKERS)
def test_f111_a_dash_or_an_asterisk_is_a_bullet_where_an_item_begins(
    marker: str,
) -> None:
    wanted = ["Python", "end-to-end tests", "C++"]
    assert names(f"{marker} " + f"\n{marker} ".join(wanted)) == wanted
    assert names(f"Skills:\n  {marker}  " + f"\n  {marker}  ".join(wanted)) == wanted
    # Inside an item they are not bullets.
    assert names("Java - Spring, C++, T-SQL") == ["Java - Spring", "C++", "T-SQL"]


@pytest.mark.parametrize("marker", ["-", "–", "*", "»", "o"])
def test_f111_a_bullet_may_come_again_in_its_line(marker: str) -> None:
    text = f"{marker} Python {marker} SQL {marker} front-end work"
    assert names(text) == ["Python", "SQL", "front-end work"]


@pytest.mark.parametrize(
    "pattern",
    ["{}. ", "{}) ", "({}) ", "{} - ", "{}: ", "{} ", "{}.", "{})", "#{}: ", "  {}.\t"],
)
def test_f111_numbers_before_skills_are_no_part_of_them(pattern: str) -> None:
    wanted = ["Python", "3D modelling", "ISO 9001", "Web 2.0"]
    if pattern in ("{} ", "{}.", "{})"):
        wanted = ["Python", "modelling in 3D", "ISO 9001", "Web 2.0"]
    lines = [pattern.format(n) + skill for n, skill in enumerate(wanted, start=1)]
    assert names("\n".join(lines)) == wanted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1. Python 2. SQL 3. R", ["Python", "SQL", "R"]),
        ("Required: (1) Python (2) SQL", ["Python", "SQL"]),
        ("a) Python\nb) SQL", ["Python", "SQL"]),
        ("i) Python\nii) SQL\niii) R", ["Python", "SQL", "R"]),
        ("- [x] Python\n- [ ] SQL", ["Python", "SQL"]),
        ("1️⃣ Python, ✔️ SQL", ["1️⃣ Python", "SQL"]),
        ("Python · SQL · R", ["Python", "SQL", "R"]),
        ("Python·SQL⋅R", ["Python", "SQL", "R"]),
        ("intel·ligència artificial·SQL", ["intel·ligència artificial", "SQL"]),
        ("データ・サイエンス、機械学習", ["データ・サイエンス", "機械学習"]),
    ],
)
def test_f111_numbers_and_dots_in_a_line_separate(
    text: str, expected: list[str]
) -> None:
    assert names(text) == expected


@pytest.mark.parametrize(
    "label",
    [
        "Skills:", "SKILLS :", "Technical skills:", "Key Skills & Tools:",
        "Tech stack:",
        "Programming languages:", "Must have:", "Nice-to-have skills:",
        "Skills -",
        "Required qualifications –", "**Tools:**", "Tools/Technologies:", "My skills:",
        "Compétences :", "Kenntnisse:", "Habilidades:", "Навыки:", "技能：",
        "## Skills\n", "Technical Skills\n", "Skills:\n\n",
    ],
)  # fmt: skip
def test_f111_a_label_before_skills_is_no_skill(label: str) -> None:
    assert names(f"{label} Python\nC++") == ["Python", "C++"]


def test_f111_each_part_of_a_text_may_have_its_label() -> None:
    text = "Languages: Python, Java; Databases: Postgres. Nice to have: Git, Docker."
    assert names(text) == ["Python", "Java", "Postgres", "Git", "Docker"]
    # Other words are kept: they are part of the name.
    assert names("1C: Enterprise, AWS: Lambda, Tools") == [
        "1C: Enterprise", "AWS: Lambda", "Tools",
    ]  # fmt: skip
    assert names("communication skills: negotiation") == [
        "communication skills: negotiation"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<ul><li>Python</li><li>C++</li></ul>", ["Python", "C++"]),
        ("<UL class='x'>\n<LI>Python\n<LI><b>C</b>++\n</UL>", ["Python", "C++"]),
        ("Python<br>C++<br/>SQL<BR />R", ["Python", "C++", "SQL", "R"]),
        ("<p>Python</p><p>C++</p>", ["Python", "C++"]),
        ("<table><tr><td>Python</td><td>5</td></tr></table>", ["Python", "5"]),
        ("R&amp;D, AT&amp;T, Q&#38;A, C&#x2B;&plus;", ["R&D", "AT&T", "Q&A", "C++"]),
        ("Python&nbsp;&nbsp;, Caf&eacute;", ["Python", "Café"]),
        ("&lt;li&gt;R&amp;amp;D&lt;/li&gt;", ["R&D"]),
        ("&bull; Python &middot; SQL &#8226; R", ["Python", "SQL", "R"]),
        ("<!-- a, b -->Python<script>var a, b</script>", ["Python"]),
        # Neither tags nor entities.
        (
            "List<String>, a < b, C#; R&D; M&M;",
            ["List<String>", "a < b", "C#", "R&D", "M&M"],
        ),
        ("sales&notes, <html5>", ["sales&notes", "<html5>"]),
    ],
)
def test_f111_entities_and_tags_are_read_as_a_browser_does(
    text: str, expected: list[str]
) -> None:
    assert names(text) == expected


@pytest.mark.parametrize(
    "level",
    [
        " (advanced)", "(expert)", " [basic]", " (5 years)", " (3+ yrs)", " (80%)",
        " (4/5)", " - 5 years", " – 5+ years of experience", " - advanced", ": expert",
        ": 4/5", " - very good", " 5+ years", " 80 %", " 8/10", " (preferred)",
        " (must have)", " (min. 3 years)", " — 6 months", " (working knowledge, basic)",
        " (C1)", " - B2", " (fließend)", " (avancé)", " (10 ans)", " ★★★☆☆",
        ", 5 years",
        " | advanced", " (nice to have) (2 years)", " (level 3)", " (advanced).",
    ],
)  # fmt: skip
def test_f111_a_level_behind_a_skill_is_no_part_of_it(level: str) -> None:
    assert names(f"Python{level}, SQL{level}") == ["Python", "SQL"]
    assert names(f"• machine learning{level}\n• C++{level}") == [
        "machine learning", "C++",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "skill",
    [
        "3D modelling", "ISO 9001", "Windows 10", "Excel (2016)",
        "Office 365", "Web 2.0",
        "Cloud (AWS, Azure)", "Adobe Premiere (Pro)", "B2B sales", "24/7 support", "5S",
        "Six Sigma", "4x4 driving", "OpenGL 4/5 shaders", "ISO/IEC 27001:2022", "2D/3D",
        "Basic", "Advanced Excel", "C++", "C#", ".NET", "*nix", "R&D", "AT&T", "P&L",
        "a/b testing", "end-to-end testing", "T-SQL", "self-motivated",
        "A+ certification",
        "health and safety", "Health & Safety", "research and development", "Q & A",
        "occupational health and safety law", "supply and demand", "R & D", "AT & T",
        "black and white photography", "food & beverage", "time and attendance systems",
        "data structures and algorithms", "search and rescue missions",
        "design and development", "planning and scheduling", "Windows 10 & 11",
        "oral and written communication", "five years of building bridges",
        "I have been building bridges and dams for five years",
        "Strong analytical and communication skills",
        "apply grammar and spelling rules", "Oracle (11g and 12c)",
    ],
)  # fmt: skip
def test_f111_a_single_skill_stays_whole(skill: str) -> None:
    assert names(skill) == [skill]
    assert names(f"Python, {skill}; SQL") == ["Python", skill, "SQL"]
    assert names(f"• {skill}\n• SQL") == [skill, "SQL"]


@pytest.mark.parametrize("word", ["and", "&", "AND", "And"])
def test_f111_and_joins_skills_that_stand_by_themselves(word: str) -> None:
    assert names(f"Python {word} SQL") == ["Python", "SQL"]
    assert names(f"python, sql {word} docker") == ["python", "sql", "docker"]
    assert names(f"Git, C++ {word} C#; R") == ["Git", "C++", "C#", "R"]
    assert names(f"BGP {word} OSPF {word} MPLS") == ["BGP", "OSPF", "MPLS"]
    assert names(f"machine learning {word} deep learning") == [
        "machine learning", "deep learning",
    ]  # fmt: skip
    # At the end of a list also two activities, and two words each.
    assert names(f"cooking, washing {word} ironing") == [
        "cooking",
        "washing",
        "ironing",
    ]
    assert names(f"SQL, NLP, data mining {word} web design") == [
        "SQL", "NLP", "data mining", "web design",
    ]  # fmt: skip
    assert names(f"SQL, first aid, health {word} safety") == [
        "SQL", "first aid", f"health {word} safety",
    ]  # fmt: skip
    assert names(f"Go, {word} Rust") == ["Go", "Rust"]


@pytest.mark.parametrize(
    "nothing",
    ["nan", "NaN", "N/A", "n.a.", "None", "null", "NULL", "-", "–", "nil", "undefined"],
)
def test_f111_words_for_nothing_are_no_skills(nothing: str) -> None:
    assert names(nothing) == []
    assert names(f"{nothing}, Python, {nothing}") == ["Python"]
    assert names(f"['{nothing}', 'Python']") == ["Python"]
