"""F109 and F110: files from spreadsheets, pandas and people."""

# ruff: noqa: RUF001  (dashes that stand for nothing look like others)

import csv
import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.commands.import_csv.command import main
from tests.integration.import_csv.files import STORED, as_csv, jobs, refused
from tests.support.postgres import run


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"],
)
@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r"])
def test_f109_whatever_delimiter_and_encoding_a_spreadsheet_writes(
    file: Path, database_url: str, delimiter: str, encoding: str, line_end: str
) -> None:
    file.write_bytes(as_csv(delimiter, line_end).encode(encoding))
    assert main(["jobs", str(file)]) == 0
    assert jobs(database_url) == STORED


@pytest.mark.parametrize(
    "text",
    [
        "job_id;skills;;;\r\n1;a;;;\r\n2;b;;;\r\n;;;;\r\n;;;;\r\n",
        # Excel leaves empty fields at the end out, from the seventeenth row on.
        "job_id;skills;;\r\n1;a;;\r\n2;b\r\n\r\n;\r\n",
        "sep=;\r\njob_id;skills\r\n1;a\r\n2;b\r\n",
        "Job ID,Skills\n1,a\n2,b\n",
        ' JOB-ID , "Skills" \n1,a\n2,b\n'.replace('" \n', '"\n'),
        "JobId\tSKILLS\n1.0\ta\n2,00\tb\n",
        ",job_id,skills\n0,1.0,a\n1,2.0,b\n",  # the index that pandas writes
        '"job_id", "skills"\n"1", "a"\n"2", "b"\n',
        'job_id,skills,note\n1,a,"x\n\ny"\n2,b,\n',
        "skills,job_id\na,1\nb, 2 \n",
        "note;with,commas;job_id;skills\nx;y;1;a\nx;y;2;b\n",
    ],
)
def test_f109_empty_columns_and_rows_headers_and_ids_of_spreadsheets(
    file: Path, database_url: str, text: str
) -> None:
    file.write_text(text, newline="")
    assert main(["jobs", str(file)]) == 0
    assert jobs(database_url) == [(1, "a"), (2, "b")]


def test_f109_an_encoding_that_was_guessed_is_said_and_can_be_named(
    file: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes("job_id;skills\n1;бухгалтер\n".encode("cp1251"))
    assert main(["jobs", str(file)]) == 0
    assert "It was read as cp1252; if letters look wrong" in capsys.readouterr().out
    assert main(["jobs", str(file), "--encoding", "cp1251"]) == 0
    assert jobs(database_url) == [(1, "бухгалтер")]
    assert main(["jobs", str(file), "--encoding", "cp9999"]) == 1
    assert "cp9999" in capsys.readouterr().err


def test_f109_numbers_with_a_decimal_comma_are_numbers(
    file: Path, database_url: str
) -> None:
    run(database_url, "ALTER TABLE skill_job1 ADD pay numeric, ADD places int")
    file.write_text("job_id;skills;pay;places\n1;a;1234,5;2.0\n2;b;;N/A\n")
    assert main(["jobs", str(file)]) == 0
    stored = "SELECT pay::text, places FROM skill_job1 ORDER BY job_id"
    assert run(database_url, stored) == [("1234.5", 2), (None, None)]


def test_f109_a_pipe_is_read_as_a_file_is(tmp_path: Path, database_url: str) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(b"job_id,skills\n1,a\n"))
    writer.start()
    assert main(["jobs", str(pipe)]) == 0
    writer.join()
    assert jobs(database_url) == [(1, "a")]


@pytest.mark.parametrize(
    "word",
    ["nan", "NaN", "N/A", "n/a", "#N/A", "None", "none", "null", "NULL", "<NA>", "nil",
     "-", "–", "—", "n.a.", " ", "", " null ", '""'],
)  # fmt: skip
def test_f110_a_word_for_nothing_is_no_text(
    file: Path, database_url: str, word: str
) -> None:
    file.write_text(f"job_id,skills,title\n1,{word},{word}\n2,Nancy,None of it\n")
    assert main(["jobs", str(file), "--add-columns", "title"]) == 0
    stored = "SELECT skills, title FROM skill_job1 ORDER BY job_id"
    assert run(database_url, stored) == [(None, None), ("Nancy", "None of it")]


def test_f110_a_word_for_nothing_is_no_id(
    file: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("job_id,skills\n1,a\nNaN,b\n")
    assert "Line 3 has no job_id." in refused(file, database_url, capsys)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.text(
            st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
            min_size=1,
        ).filter(lambda text: text.strip() == text),
        min_size=1,
    ),
    st.sampled_from(",;\t|"),
)
def test_any_text_is_stored_as_it_stands_in_the_file(
    file: Path, database_url: str, texts: list[str], delimiter: str
) -> None:
    run(database_url, "TRUNCATE skill_job1")
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerow(["job_id", "skills"])
        writer.writerows(enumerate([f"x{text}" for text in texts], start=1))
    assert main(["jobs", str(file)]) == 0
    wanted = [(n, f"x{text}") for n, text in enumerate(texts, start=1)]
    assert jobs(database_url) == wanted
