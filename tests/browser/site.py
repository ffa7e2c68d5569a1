"""The project's own sample in a database, and texts of strangers."""

import pytest

from app.commands.import_csv.command import main as import_csv
from tests.support.postgres import run
from tests.support.service import ROOT

# Text that a stranger might post on a job board.
HOSTILE_TEXT = (
    "<img src=x onerror=\"document.title='run'\">,"
    " <script>document.title='run'</script>, \"><b>bold</b>, javascript:alert(1)"
)
HOSTILE_TITLE = "<i>Cleaner</i> & <script>document.title='run'</script>"


def load_sample(url: str) -> None:
    """160 jobs with title, company and location, and 16 users with a name."""
    for what, columns in (("jobs", "title,company,location"), ("users", "name")):
        file = str(ROOT / "samples" / f"{what}.csv")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DATABASE_URL", url)
            assert import_csv([what, file, "--add-columns", columns]) == 0


def add_columns_of_each_type(url: str) -> None:
    """`salary` is 30,000 and 100 per job_id, `posted` the job_id-th day of 2026."""
    run(
        url,
        "ALTER TABLE skill_job1 ADD salary integer, ADD remote boolean,"
        " ADD posted date, ADD rating double precision",
    )
    run(
        url,
        "UPDATE skill_job1 SET salary = 30000 + 100 * job_id,"
        " remote = location = 'Remote', posted = date '2025-12-31' + job_id::integer,"
        " rating = job_id / 100.0",
    )


def add_hostile_jobs(url: str) -> None:
    """Two, each the most similar job of the other."""
    run(
        url,
        "INSERT INTO skill_job1 (job_id, skills, title, company)"
        " VALUES (9001, %(text)s, %(title)s, '<u>Firm</u>'),"
        " (9002, %(text)s || ', HTML', %(title)s, '<u>Firm</u>')",
        {"text": HOSTILE_TEXT, "title": HOSTILE_TITLE},
    )
