"""F108: broken files are refused with the line, and nothing is imported."""

import codecs
from pathlib import Path

import pytest

from app.commands.import_csv.command import main
from tests.integration.import_csv.files import jobs, refused
from tests.support.postgres import run

BROKEN = {
    "a quote never closed": ('job_id,skills\n1,a\n2,"b\n3,c\n', "begins in line 3"),
    "cut off inside quotes": ('job_id,skills\n1,a\n2,"b, c', "begins in line 3"),
    "cut off behind a comma's field": (
        "job_id,title,skills\n1,a,b\n2,c",
        "Line 3 has 2",
    ),
    "cut off inside the id": ("job_id,skills\n1,a\n2", "Line 3 has 1 fields"),
    "a quote in a bare field": ('job_id,skills\n1,5" pipe\n', "Line 2 has a quote"),
    "two of them": ('job_id,skills\n1,a\n2,say "a, b" now\n', "Line 3 has a quote"),
    "text behind a quote": ('job_id,skills\n1,"a"b\n', "Line 2 is no CSV"),
    "a quote escaped otherwise": (
        'job_id,skills\n1,"a \\"b\\" c"\n',
        "Line 2 is no CSV",
    ),
    "a field too many": ("job_id,skills\n1,a\n2,b,c\n", "Line 3 has 3 fields"),
    "after lines of one record": ('job_id,skills\n1,"a\nb\nc"\n2\n', "Line 5 has 1"),
    "no id": ("job_id,skills\n1,a\n ,b\n", "Line 3 has no job_id"),
    "a word as an id": ("job_id,skills\n1,a\nx,b\n", "Line 3, column job_id: invalid"),
    "an id beyond its type": (
        'job_id,skills\n\n1,"a\nb"\n99999999999999999999,b\n',
        "Line 5, column job_id: value",
    ),
    "a rounded id": (
        "job_id,skills\n1.5E+11,a\n",
        "rounded; show the column as a number",
    ),
    "a fraction as an id": ("job_id,skills\n1.5,a\n", 'bigint: "1.5"'),
    "no header line": ("1,a\n2,b\n", "The file has no column job_id"),
    "nothing": ("", "The file has no column job_id"),
    "a name twice": ("job_id,skills,Job ID\n1,a,2\n", None),
    "a zero byte": ("job_id,skills\n1,a\0b\n", "Line 2 holds a zero byte"),
    "two with one meaning": ("JOB ID,job-id,skills\n1,2,a\n", "are both job_id"),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN)
def test_f108_a_broken_file_is_refused_with_its_line(
    file: Path,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    text: str,
    message: str | None,
) -> None:
    file.write_text(text)
    if message is None:
        # One matches the column's name exactly, the other except for case.
        assert main(["jobs", str(file)]) == 0
        return
    assert message in refused(file, database_url, capsys)


def test_f108_a_file_that_is_cut_off_anywhere_loses_no_rows_silently(
    file: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    records = (
        "job_id,skills,title\n",
        '1,"a, b",x\n',
        '2,"c ""d""\ne","yé"\n',
        "3,f,z",
    )
    whole = "".join(records).encode()
    starts = [len("".join(records[:n]).encode()) for n in (1, 2, 3)]
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        run(database_url, "TRUNCATE skill_job1")
        status = main(["jobs", str(file), "--encoding", "utf-8"])
        begun = sum(start < length for start in starts)
        assert len(jobs(database_url)) == (0 if status else begun), whole[:length]
        assert bool(capsys.readouterr().err) == bool(status)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\x03\x04\x14\0\6\0", "an Excel or OpenDocument workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook"),
        (b"\x1f\x8b\x08\0", "compressed with gzip"),
        (b"job_id,skills\n1,K\xc3\xa4se\n2,K\xe4se\n", "Line 3 is neither UTF-8 nor"),
        (b"job_id,skills\n1,a\x81b\n", "Line 2 is neither UTF-8 nor Windows-1252"),
        (b"job_id,skills\n1,caf\xc3", "Line 2 is neither UTF-8 nor"),
        (codecs.BOM_UTF8 + b"job_id,skills\n1,a\n2,K\xe4se\n", "Line 3 is neither"),
        (codecs.BOM_UTF16_LE + "job_id,skills\n1,a".encode("utf-16-le") + b"\0",
         "The file is not utf-16-le"),
    ],
)  # fmt: skip
def test_f108_a_file_that_is_not_text_is_named_by_its_kind(
    file: Path,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    sentence: str,
) -> None:
    file.write_bytes(content)
    assert sentence in refused(file, database_url, capsys)
