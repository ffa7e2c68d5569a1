"""Filters, and further pages of results."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, expect

from tests.browser.conftest import address
from tests.browser.visit import ask, axe_violations, settle, visiting
from tests.support.service import ROOT, running_service

with (ROOT / "samples" / "jobs.csv").open() as file:
    SAMPLE = list(csv.DictReader(file))
REMOTE = sorted(row["title"] for row in SAMPLE if row["location"] == "Remote")


@pytest.fixture
def filtered(page: Page) -> Page:
    """A page with results and open filters."""
    ask(page, "python", "sql")
    page.locator("#filters > summary").click()
    return page


def titles(page: Page) -> list[str]:
    return page.locator(".job h3").all_inner_texts()


def asks_for(request: Request, filters: object) -> bool:
    body = request.post_data_json if request.method == "POST" else None
    return body is not None and body.get("filters") == filters


def test_a_title_takes_the_place_of_the_id_and_the_columns_follow(page: Page) -> None:
    ask(page, "geriatric nursing", "dementia care")
    job = page.locator(".job").first
    expect(job.locator("h3")).to_have_text("Geriatric Nurse")
    expect(job.locator(".facts").first).to_contain_text("Lindenhof Residence")
    expect(job.locator(".facts").first).to_contain_text("Salary: 31700")
    expect(job.locator(".facts").first).to_contain_text("Remote: no")
    expect(job.locator(".facts").first).to_contain_text("Posted: 2026-01-17")
    expect(job.locator(".facts").first).to_contain_text("Job 17")


def test_a_text_filter_is_any_of_its_chips(filtered: Page) -> None:
    location = filtered.get_by_role("combobox", name="Location")
    chosen = {"location": ["Remote"]}
    with filtered.expect_response(lambda r: asks_for(r.request, chosen)):
        location.fill("Remote")
        location.press("Enter")
    expect(filtered.locator("#filter-count")).to_have_text("1 set")
    expect(filtered.locator(".job")).to_have_count(len(REMOTE))
    assert sorted(titles(filtered)) == REMOTE
    location.fill("Köln,")
    expect(filtered.locator(".facts").filter(has_text="Köln").first).to_be_visible()
    filtered.get_by_role("button", name="Remove Remote").click()
    expect(filtered.locator(".facts").filter(has_text="Remote: yes")).to_have_count(0)


def test_values_of_previous_results_are_suggested(page: Page) -> None:
    page.get_by_role("textbox", name="Skills").fill("python; sql")  # one search
    settle(page)
    suggested = page.locator("#filter-location-seen option")
    shown = page.locator(".job .facts").all_inner_texts()
    for value in suggested.evaluate_all("(options) => options.map((o) => o.value)"):
        assert any(value in line for line in shown)
    assert suggested.count() > 0


def test_a_range_of_numbers_and_of_dates_bounds_the_jobs(filtered: Page) -> None:
    filtered.get_by_label("Salary, at least").fill("31000")
    filtered.get_by_label("Salary, at most").fill("31200")
    expect(filtered.locator(".job")).to_have_count(3)
    assert sorted(facts(filtered, "Salary")) == ["31000", "31100", "31200"]
    filtered.get_by_label("Posted, at least").fill("2026-01-12")
    expect(filtered.locator(".job")).to_have_count(1)
    assert facts(filtered, "Salary") == ["31200"]
    filtered.get_by_label("Rating, at most").fill("0.11")
    expect(filtered.get_by_text("No job matches these filters.")).to_be_visible()
    expect(filtered.locator("#filter-count")).to_have_text("3 set")


def facts(page: Page, name: str) -> list[str]:
    found = page.locator(".job > .job-head .facts > span").all_inner_texts()
    return [text.split(": ")[1] for text in found if text.startswith(f"{name}: ")]


def test_a_yes_or_no_is_chosen_and_the_filters_can_be_cleared(filtered: Page) -> None:
    filtered.get_by_label("Remote", exact=True).select_option("yes")
    expect(filtered.locator(".job")).to_have_count(len(REMOTE))
    filtered.get_by_role("button", name="Clear filters").click()
    expect(filtered.locator(".job")).to_have_count(10)
    expect(filtered.locator("#filter-count")).to_be_hidden()
    expect(filtered.locator("#filters > summary")).to_be_focused()


def test_the_empty_list_offers_to_clear_the_filters(filtered: Page) -> None:
    filtered.get_by_role("combobox", name="Company").fill("No Such Firm,")
    notice = filtered.locator("#problem")
    expect(notice).to_contain_text("No job matches these filters.")
    assert axe_violations(filtered) == []
    notice.get_by_role("button", name="Clear filters").click()
    expect(filtered.locator(".job")).to_have_count(10)


def test_filters_hold_for_another_ranking_too(filtered: Page) -> None:
    filtered.get_by_label("All together").check()
    filtered.get_by_label("Remote", exact=True).select_option("yes")
    expect(filtered.locator(".job")).to_have_count(len(REMOTE))
    expect(first(filtered).get_by_role("meter", name="Match")).to_be_visible()
    assert sorted(filtered.locator(".job h3").all_text_contents()) == REMOTE


def first(page: Page) -> Locator:
    return page.locator(".job").first


@pytest.mark.parametrize("ranking", ["Whole text", "All together"])
def test_more_jobs_follow_in_the_same_order_until_there_are_none(
    page: Page, ranking: str
) -> None:
    page.get_by_label(ranking).check()
    ask(page, "python", "sql")
    more = page.get_by_role("button", name="More jobs")
    for shown in (20, 30):
        more.click()
        expect(page.locator(".job")).to_have_count(shown)
    # Focus moves to the first new result, and their number is announced.
    expect(page.locator(".job h3").nth(20)).to_be_focused()
    expect(page.locator("#announcer")).to_have_text("10 more jobs, 30 in all.")
    ids = page.locator(".job > .job-head .facts > span:last-child").all_inner_texts()
    assert len(set(ids)) == 30
    shares = page.locator(".score b").all_inner_texts()
    scores = [float(text.split()[0]) for text in shares]
    assert scores == sorted(scores, reverse=True)


def test_the_last_page_has_no_more(filtered: Page) -> None:
    filtered.get_by_label("Salary, at most").fill("31200")
    expect(filtered.locator("#summary")).to_contain_text("The best 10 of 12 jobs")
    filtered.get_by_role("button", name="More jobs").click()
    expect(filtered.locator(".job")).to_have_count(12)
    expect(filtered.get_by_role("button", name="More jobs")).to_be_hidden()


@pytest.fixture(scope="module")
def plain(sample_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service without filterable columns, which ranks by skills."""
    folder: Path = tmp_path_factory.mktemp("plain")
    with running_service(
        sample_url,
        folder / "log",
        RANK_BY="skills",
        SKILL_CACHE_DIR=str(folder / "skills"),
    ) as service:
        yield address(service)


def test_without_columns_there_are_no_filters_and_ids_are_titles(
    browser: Browser, plain: str
) -> None:
    with visiting(browser, plain) as page:
        # The service's default ranking is preselected.
        expect(page.get_by_label("Skill by skill")).to_be_checked()
        ask(page, "dementia care")
        expect(first(page).locator("h3")).to_have_text("Job 17")
        expect(page.locator("#filters")).to_be_hidden()
