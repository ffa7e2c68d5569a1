"""Files to import, and the expected state after an import."""

import csv
import io
from pathlib import Path

import pytest

from app.commands.import_csv.command import main
from tests.support.postgres import run

ROWS = [("1", "Python, SQL"), ("2", 'knives, "soup"\nand fire'), ("3", "Käse; Brot")]
STORED = [(int(id_), skills) for id_, skills in ROWS]


def jobs(url: str) -> list[tuple[object, ...]]:
    return run(url, "SELECT job_id, skills FROM skill_job1 ORDER BY job_id")


def as_csv(delimiter: str = ",", line_end: str = "\r\n") -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end)
    writer.writerows([("job_id", "skills"), *ROWS])
    return text.getvalue()


def refused(file: Path, url: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The error of an import, which must not have changed anything."""
    before = jobs(url)
    capsys.readouterr()
    assert main(["jobs", str(file)]) == 1
    assert jobs(url) == before
    said = capsys.readouterr()
    assert said.out == ""
    return said.err
