"""Importing a CSV file."""

from pathlib import Path

import pytest

from app.commands.import_csv import command as import_csv
from tests.support.postgres import run


def write(tmp_path: Path, text: str) -> str:
    file = tmp_path / "rows.csv"
    file.write_text(text, encoding="utf-8")
    return str(file)


def jobs(url: str) -> list[tuple[object, ...]]:
    return run(url, "SELECT job_id, skills FROM skill_job1 ORDER BY job_id")


def test_rows_are_added_and_other_columns_are_named(
    tmp_path: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = 'title,skills,job_id\ncook,"knives, ""soup""\nand fire",7\nclerk,,8\n'
    assert import_csv.main(["jobs", write(tmp_path, text)]) == 0
    assert jobs(database_url) == [(7, 'knives, "soup"\nand fire'), (8, None)]
    assert capsys.readouterr().out == (
        "skill_job1: 2 rows added, 0 updated. Columns not in the table: title.\n"
    )


def test_a_second_import_updates_only_what_differs(
    tmp_path: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import_csv.main(["jobs", write(tmp_path, "job_id,skills\n1,a\n2,b\n")])
    capsys.readouterr()
    import_csv.main(["jobs", write(tmp_path, "job_id,skills\n1,a\n2,c\n3,d\n")])
    assert capsys.readouterr().out == "skill_job1: 1 row added, 1 updated.\n"
    assert jobs(database_url) == [(1, "a"), (2, "c"), (3, "d")]


def test_columns_can_be_renamed_and_added(tmp_path: Path, database_url: str) -> None:
    file = write(tmp_path, "id,knows,name\n1,sewing,Ana\n")
    arguments = ["--column", "user_id=id", "--column", "skills=knows"]
    assert import_csv.main(["users", file, *arguments, "--add-columns", "name"]) == 0
    assert run(database_url, "SELECT user_id, skills, name FROM users") == [
        (1, "sewing", "Ana")
    ]


def test_a_byte_order_mark_and_empty_lines_are_fine(
    tmp_path: Path, database_url: str
) -> None:
    import_csv.main(["jobs", write(tmp_path, "\ufeffjob_id,skills\r\n\r\n1,a\r\n")])
    assert jobs(database_url) == [(1, "a")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("job_id,name\n1,a\n", "The file has no column skills; its header line must"),
        ("job_id,skills,skills\n1,a,b\n", "names a column twice"),
        ("job_id,skills\n1,a\n2\n", "Line 3 has 1 fields, and the header line names 2"),
        ("job_id,skills\nx,a\n", 'invalid input syntax for type bigint: "x"'),
        ("", "The file has no column job_id"),
    ],
)
def test_a_faulty_file_changes_nothing_and_says_why(
    tmp_path: Path,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    text: str,
    message: str,
) -> None:
    assert import_csv.main(["jobs", write(tmp_path, text)]) == 1
    assert message in capsys.readouterr().err
    assert jobs(database_url) == []


def test_a_missing_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert import_csv.main(["jobs", "nowhere.csv"]) == 1
    assert "nowhere.csv" in capsys.readouterr().err
