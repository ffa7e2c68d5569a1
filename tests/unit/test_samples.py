"""The sample that `make run` loads: complete, and readable as UTF-8 CSV."""

import csv
import re
from pathlib import Path

import pytest

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
JOBS = ("jobs.csv", "job_id,title,company,location,skills", 160)
USERS = ("users.csv", "user_id,name,skills", 16)
SAMPLE = pytest.mark.parametrize(("file_name", "header", "count"), [JOBS, USERS])


def rows(file_name: str) -> list[list[str]]:
    content = (SAMPLES / file_name).read_bytes().decode("utf-8", errors="strict")
    return list(csv.reader(content.splitlines(), strict=True))


@SAMPLE
def test_a_sample_has_its_columns_and_ids_from_one(
    file_name: str, header: str, count: int
) -> None:
    columns, *records = rows(file_name)
    assert ",".join(columns) == header
    assert [record[0] for record in records] == [str(n + 1) for n in range(count)]


@SAMPLE
def test_no_field_of_a_sample_is_blank_or_padded(
    file_name: str, header: str, count: int
) -> None:
    for record in rows(file_name):
        assert len(record) == len(header.split(","))
        assert all(value == value.strip() != "" for value in record)


@SAMPLE
def test_each_skills_text_lists_four_to_nine_skills(
    file_name: str, header: str, count: int
) -> None:
    for record in rows(file_name)[1:]:
        # A comma inside brackets belongs to its skill: "Cloud (AWS, Azure)".
        skills = re.split(r"[,;|](?![^(]*\))", record[-1])
        assert 4 <= len(skills) <= 9, record
        assert len({skill.strip().casefold() for skill in skills}) == len(skills)
        assert all(skill.strip() for skill in skills)


def test_jobs_are_spread_over_cities_and_differ() -> None:
    _, *jobs = rows("jobs.csv")
    assert 20 <= len({location for *_, location, _ in jobs}) <= 24
    assert len({skills for *_, skills in jobs}) == len(jobs)
