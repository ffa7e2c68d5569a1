"""Forms of one skill are one skill, by the pairs that come along and by the team's."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from app.backfill.watch import Work
from app.commands.import_synonyms import main as import_synonyms
from app.query.result import Explanation
from app.storage.connection.database import Database
from tests.support.encoders import HashEncoder
from tests.support.postgres import run
from tests.support.queries import profile_query
from tests.support.skills import all_work, ask, fill, skills_of

CHANGED = "SELECT job_id, changed::text FROM recommender.job_state ORDER BY job_id"
PAIR = "INSERT INTO recommender.synonym (form, canonical) VALUES (%s, %s)"


@pytest.fixture
def migrated(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where DATABASE_URL points."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    return database_url


def add_jobs(url: str, *texts: str) -> None:
    for text in texts:
        run(url, "INSERT INTO skill_job1 (skills) VALUES (%s)", [text])


def run_all(work: Work) -> None:
    # Once more: that no skill is stale is known of an unchanged vocabulary.
    for _ in range(2):
        list(work.run())


def explained(database: Database, folder: Path, text: str) -> Explanation:
    """Why the best job fits a profile."""
    query = profile_query(1, text=text, ranking="skills")
    (answer,) = ask(database, HashEncoder(), folder, query)
    why = answer.hits[0].explanation
    assert why is not None
    return why


def changed_jobs(url: str, before: Sequence[tuple[object, ...]]) -> list[object]:
    now = run(url, CHANGED)
    return [row[0] for row, was in zip(now, before, strict=True) if row != was]


@pytest.mark.parametrize(
    ("asked", "listed"),
    [
        ("K8s", "Kubernetes"),
        ("kubernetes", "K8S"),
        ("JS", "Javascript"),
        ("Postgres", "PostgreSQL"),
        ("HGV", "heavy goods vehicle driving"),
    ],
)
def test_forms_of_one_skill_match_and_are_shown_as_written(
    database: Database, database_url: str, tmp_path: Path, asked: str, listed: str
) -> None:
    add_jobs(database_url, listed)
    fill(database, HashEncoder())
    why = explained(database, tmp_path, asked)
    assert why.score == 1.0
    assert [(m.skill, m.other, m.similarity) for m in why.matched] == [
        (asked, listed, 1.0)
    ]


def test_a_row_that_lists_both_forms_has_the_skill_once(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    add_jobs(database_url, "K8s, Go, Kubernetes")
    fill(database, HashEncoder())
    assert skills_of(database_url) == [["kubernetes", "go"]]
    why = explained(database, tmp_path, "Kubernetes, k8s")
    assert [(m.skill, m.other) for m in why.matched] == [("Kubernetes", "K8s")]


def test_an_ambiguous_form_is_read_by_the_other_skills_of_its_text(
    database: Database, database_url: str
) -> None:
    add_jobs(database_url, "PM, scrum, budgets", "PM", "RN, wound care, patients")
    fill(database, HashEncoder())
    first = [skills[0] for skills in skills_of(database_url)]  # type: ignore[index]
    assert first == ["project management", "pm", "registered nurse"]


def test_the_teams_pairs_win_and_only_rows_concerned_are_written(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    add_jobs(database_url, "K8s", "our tool", "welding, OT", "Kubernetes")
    fill(database, HashEncoder())
    work = all_work(database, HashEncoder())
    run_all(work)
    assert not work.any_waiting()
    before = run(database_url, CHANGED)
    run(database_url, PAIR, ["  Our  TOOL ", "Excellent Tool"])
    run(database_url, PAIR, ["k8s", "k8s"])  # stands for itself
    assert work.any_waiting()
    run_all(work)
    assert not work.any_waiting()
    assert skills_of(database_url)[:2] == [["k8s"], ["excellent tool"]]
    assert changed_jobs(database_url, before) == [1, 2]
    why = explained(database, tmp_path, "Our tool")
    assert why.matched[0].other == "our tool"
    run(database_url, "DELETE FROM recommender.synonym")
    run_all(work)
    assert skills_of(database_url)[:2] == [["kubernetes"], ["our tool"]]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE recommender.synonym SET canonical = 'c'",
        (
            "DELETE FROM recommender.synonym;"
            " INSERT INTO recommender.synonym VALUES ('a', 'c')"
        ),
        "INSERT INTO recommender.synonym VALUES ('b', 'c')",
        (
            "TRUNCATE recommender.synonym;"
            " INSERT INTO recommender.synonym VALUES ('a', 'b'), ('b', 'c')"
        ),
    ],
)
def test_whatever_changes_a_pair_reaches_the_rows(
    database: Database, database_url: str, change: str
) -> None:
    add_jobs(database_url, "A")
    run(database_url, "INSERT INTO users VALUES (1, 'a, x')")
    run(database_url, PAIR, ["a", "b"])
    fill(database, HashEncoder())
    assert skills_of(database_url) == [["b"]]
    run(database_url, change)
    fill(database, HashEncoder())
    assert skills_of(database_url) == [["c"]]
    assert skills_of(database_url, "user_state", "user_id") == [["c", "x"]]


def test_a_change_between_splitting_and_storing_is_not_lost(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_jobs(database_url, "a")
    work = all_work(database, HashEncoder())
    learn = work.vocabulary.learn

    def learn_late(*arguments: object, **named: object) -> int:
        monkeypatch.setattr(work.vocabulary, "learn", learn)
        run(database_url, PAIR, ["a", "b"])
        return learn(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(work.vocabulary, "learn", learn_late)
    run_all(work)
    run_all(work)
    assert skills_of(database_url) == [["b"]]
    assert not work.any_waiting()


OWN = (
    "Form,Canonical,Context\nOT,our tool,\nPM,private mess,beans rice\nPM,prime,beef\n"
)
ESCO = (
    "conceptType,preferredLabel,altLabels\n"
    'Skill,tend goats,"goat keeping\nkeep goats\nkeep animals"\n'
    'Skill,tend sheep,"keep sheep\nkeep animals\ntend goats"\n'
    "Skill,lift,\n"
)


@pytest.mark.parametrize(
    ("content", "pairs"),
    [
        (
            OWN,
            [("ot", "our tool"), ("pm", "prime"), ("pm", "private mess")],
        ),
        (
            ESCO,  # what is said of two labels is left out, and what is one itself
            [
                ("goat keeping", "tend goats"),
                ("keep goats", "tend goats"),
                ("keep sheep", "tend sheep"),
            ],
        ),
    ],
)
def test_a_file_is_taken_over_and_again_changes_nothing(
    migrated: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str,
    pairs: list[tuple[str, str]],
) -> None:
    file = tmp_path / "synonyms.csv"
    file.write_text(content, encoding="utf-8-sig")
    found = "SELECT form, canonical FROM recommender.synonym ORDER BY 1, 2"
    for changed in (3, 0):
        assert import_synonyms([str(file)]) == 0
        assert run(migrated, found) == pairs
        said = f"3 synonyms in the file, {changed} changed."
        assert capsys.readouterr().out.startswith(said)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("form,canonical\na,\n", "Line 2 lacks a form or a canonical form."),
        ("form,canonical\na,b\nb,c\n", "Line 3 maps 'b', to which line 2 maps"),
        ("form,meaning\na,b\n", "The file has neither the columns form and canonical"),
        ('form,canonical\n"a,b\n', "The record that begins in line 2 has a quote"),
    ],
)
def test_a_file_with_a_fault_changes_nothing(
    migrated: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str,
    message: str,
) -> None:
    file = tmp_path / "synonyms.csv"
    file.write_text(content, encoding="utf-8")
    assert import_synonyms([str(file)]) == 1
    assert capsys.readouterr().err.startswith(f"import_synonyms: {message}")
    assert run(migrated, "SELECT FROM recommender.synonym") == []
