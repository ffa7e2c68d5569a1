"""Freshness and variety: the controls, the request, the address and the keyboard."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.browser.visit import ask, axe_violations, settle, visiting

FRESH = {"column": "posted", "half_life_days": 30}


@pytest.fixture
def ordered(page: Page) -> Page:
    """A page with results and open options."""
    ask(page, "python", "sql")
    page.locator("#order > summary").press("Enter")
    return page


def asks(**options: Any) -> Callable[[Any], bool]:
    """Whether a response is to a request with these options, and with no others."""

    def fits(response: Any) -> bool:
        request: Request = response.request
        body = request.post_data_json if request.method == "POST" else None
        names = ("freshness", "max_per", "diversity")
        return (
            body is not None
            and {name: body[name] for name in names if name in body} == options
        )

    return fits


def choose(page: Page, label: str, value: str) -> None:
    page.get_by_label(label, exact=True).select_option(value)


def test_newer_jobs_come_first_and_each_tells_its_factor(ordered: Page) -> None:
    half_life = ordered.get_by_label("Days until a score halves")
    expect(half_life).to_be_hidden()
    with ordered.expect_response(asks(freshness=FRESH)) as found:
        choose(ordered, "Newer jobs first, by", "posted")
    jobs = found.value.json()["recommendations"]
    assert all(0.1 <= job["factor"] <= 1 for job in jobs)
    with ordered.expect_response(asks(freshness={**FRESH, "half_life_days": 5})):
        half_life.fill("5")
    expect(ordered.locator("#order-count")).to_have_text("1 set")
    settle(ordered)
    assert axe_violations(ordered) == []


def test_few_jobs_of_one_company(ordered: Page) -> None:
    most = ordered.get_by_label("How many of them")
    expect(most).to_be_hidden()
    choose(ordered, "Few jobs with the same", "company")
    with ordered.expect_response(asks(max_per={"company": 1})) as found:
        most.fill("1")
    jobs = found.value.json()["recommendations"]
    companies = Counter(job["columns"]["company"] for job in jobs)
    assert set(companies.values()) == {1}
    # What is no number of jobs is not sent.
    with ordered.expect_response(asks(max_per={"company": 2})):
        most.fill("0")


def test_different_jobs_and_back_to_what_the_service_does(ordered: Page) -> None:
    with ordered.expect_response(asks(diversity=0.6)):
        choose(ordered, "Different jobs", "0.6")
    with ordered.expect_response(asks()):
        ordered.get_by_role("button", name="Use the defaults").press("Enter")
    expect(ordered.locator("#order-count")).to_be_hidden()
    expect(ordered.locator("#order > summary")).to_be_focused()


def test_the_address_keeps_the_options(browser: Browser, ordered: Page) -> None:
    choose(ordered, "Newer jobs first, by", "posted")
    choose(ordered, "Few jobs with the same", "company")
    options = {"freshness": FRESH, "max_per": {"company": 2}, "diversity": 0.3}
    with ordered.expect_response(asks(**options)):
        choose(ordered, "Different jobs", "0.3")
    settle(ordered)
    titles = ordered.locator(".job h3").all_inner_texts()
    with visiting(browser, ordered.url) as other:
        settle(other)
        expect(other.locator("#order-count")).to_have_text("3 set")
        expect(other.locator(".job h3")).to_have_text(titles)
        other.locator("#order > summary").press("Enter")
        newer = other.get_by_label("Newer jobs first, by", exact=True)
        expect(newer).to_have_value("posted")


def test_an_address_sets_no_other_option_of_a_request(
    browser: Browser, site: str
) -> None:
    order = "%7B%22top_n%22:1,%22diversity%22:0.3%7D"
    address = f"{site}#jobs?skill=python&rank=similarity&order={order}"
    with visiting(browser, address) as page:
        settle(page)
        expect(page.locator(".job")).to_have_count(10)
        expect(page.locator("#order-count")).to_have_text("1 set")


def test_without_dates_only_the_others_are_offered(
    browser: Browser, typed_site: str
) -> None:
    with visiting(browser, typed_site) as page:
        page.locator("#order > summary").click()
        expect(page.get_by_label("Different jobs")).to_be_visible()
        expect(page.get_by_label("Newer jobs first, by")).to_be_hidden()
        expect(page.get_by_label("Few jobs with the same")).to_be_visible()
