"""Numbers, dates and ids appear as they are in the table."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import address
from tests.browser.test_modules import run_in
from tests.browser.visit import ask, settle, visiting
from tests.support.embedding import embed
from tests.support.postgres import Server, fresh_database, run
from tests.support.service import running_service

LARGE = 9_007_199_254_740_993  # the double next to it ends in 2
COLUMNS = {
    "founded": ("integer", "2026", "2026"),
    "rate": ("double precision", "0.00042", "0.00042"),
    "budget": ("numeric", "12345678901234567890.00", "12345678901234567890"),
    "views": ("bigint", str(LARGE), str(LARGE)),
    "balance": ("integer", "-1234567", "-1234567"),
    "posted_at": ("timestamptz", "2026-03-01 23:30+02", "2026-03-01 21:30:00 UTC"),
    "local_time": ("timestamp", "2026-03-01 23:30", "2026-03-01 23:30:00"),
    "posted": ("date", "2026-03-01", "2026-03-01"),
    "ends": ("timestamptz", "infinity", "infinity"),
}


@pytest.fixture(scope="module")
def url(postgres: Server) -> Iterator[str]:
    with fresh_database(postgres) as url:
        for job_id in (LARGE, LARGE + 1, 7):
            run(
                url,
                "INSERT INTO skill_job1 (job_id, skills) VALUES (%s, %s)",
                (job_id, f"python, sql, job {job_id}"),
            )
        run(
            url,
            "INSERT INTO users (user_id, skills) VALUES (%s, 'python')",
            (LARGE,),
        )
        for name, (kind, value, _) in COLUMNS.items():
            run(url, f"ALTER TABLE skill_job1 ADD {name} {kind}")
            run(url, f"UPDATE skill_job1 SET {name} = %s", (value,))
        embed(url)
        yield url


@pytest.fixture(scope="module")
def figures(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("figures")
    with running_service(
        url,
        folder / "log",
        JOB_COLUMNS=",".join(COLUMNS),
        SKILL_CACHE_DIR=str(folder / "skills"),
    ) as service:
        yield address(service)


def test_f129_values_are_shown_as_they_are(browser: Browser, figures: str) -> None:
    with visiting(browser, figures) as page:
        ask(page, "python")
        facts = page.locator(".job > .job-head .facts").first
        for name, (_, _, shown) in COLUMNS.items():
            label = name.replace("_", " ").capitalize()
            fact = facts.locator("> span").filter(has_text=f"{label}: ")
            expect(fact).to_have_text(f"{label}: {shown}")


def test_f129_filters_of_moments_say_their_zone(browser: Browser, figures: str) -> None:
    with visiting(browser, figures) as page:
        ask(page, "python")
        page.locator("#filters > summary").click()
        expect(page.get_by_role("group", name="Posted at (UTC)")).to_be_visible()
        page.get_by_label("Posted at, at least").fill("2026-03-01T21:30:01")
        expect(page.get_by_text("No job matches these filters.")).to_be_visible()
        page.get_by_label("Posted at, at least").fill("2026-03-01T21:30:00")
        expect(page.locator(".job")).to_have_count(3)


def test_f112_links_and_filters_of_the_page_work_with_large_ids(
    browser: Browser, figures: str
) -> None:
    with visiting(browser, figures) as page:
        ask(page, "python", f"job {LARGE}")
        titles = page.locator(".job h3").all_inner_texts()
        assert set(titles) == {f"Job {LARGE}", f"Job {LARGE + 1}", "Job 7"}
        job = page.locator(".job").filter(
            has=page.get_by_role("heading", name=f"Job {LARGE}")
        )
        job.get_by_role("button", name="Similar jobs").click()
        similar = job.locator(".similar-jobs b")
        expect(similar).to_have_count(2)
        assert set(similar.all_inner_texts()) == {f"Job {LARGE + 1}", "Job 7"}
        page.locator("#filters > summary").click()
        page.get_by_label("Views, at least").fill(str(LARGE))
        expect(page.locator(".job")).to_have_count(3)
        page.get_by_label("Views, at least").fill(str(LARGE + 1))
        expect(page.get_by_text("No job matches these filters.")).to_be_visible()


def test_f112_a_user_with_a_large_id_is_found(browser: Browser, figures: str) -> None:
    with visiting(browser, f"{figures}#jobs?user={LARGE}") as page:
        settle(page)
        expect(page.get_by_label("User id")).to_have_value(str(LARGE))
        expect(page.locator(".job")).to_have_count(3)


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("m.percent(0)", "0 %"),
        ("m.percent(0.004)", "<1 %"),
        ("m.percent(0.5)", "50 %"),
        ("m.percent(0.996)", ">99 %"),
        ("m.percent(1)", "100 %"),
        ("m.score(0.9996)", "0.99"),
        ("m.score(1)", "1.00"),
        ("m.score(-0.001)", "0.00"),
        ("m.score(-0.128)", "-0.13"),
        ("m.bytes(null)", "\u2013"),
        ("m.bytes(0)", "0 B"),
        ("m.bytes(999)", "999 B"),
        ("m.bytes(5120)", "5.1 kB"),
        ("m.bytes(1.5e9)", "1.5 GB"),
        ("m.milliseconds(0.00004)", "<0.1 ms"),
        ("m.milliseconds(0.0042)", "4.2 ms"),
        ("m.milliseconds(2)", "2.0 s"),
        ("m.count(12345)", "12,345"),
        ("m.plainly('number', 1e-7)", "1e-7"),
        ("m.plainly('integer', 2026)", "2026"),
        ("m.plainly('timestamp', '2026-01-01T12:30:00.5-03:30')",
         "2026-01-01 12:30:00.5 -03:30"),
        ("m.plainly('timestamp', '0044-03-15T12:00:00+00:00 BC')",
         "0044-03-15 12:00:00 UTC BC"),
        ("m.plainly('text', '2026-01-01T00:00:00')", "2026-01-01T00:00:00"),
    ],
)  # fmt: skip
def test_f129_a_figure_is_never_rounded_to_something_else(
    page: Page, expression: str, shown: str
) -> None:
    assert run_in(page, "format.js", expression) == shown


def test_f129_the_scores_of_a_list_are_in_its_order(page: Page) -> None:
    ask(page, "python")
    scores = [float(each) for each in page.locator(".score b").all_inner_texts()]
    assert scores == sorted(scores, reverse=True)
    assert all(math.isfinite(score) for score in scores)
