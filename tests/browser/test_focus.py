"""Keyboard focus, and the direction of text."""

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.visit import add_skills, ask, overflows, settle, visiting

HEBREW = "תפירה, Excel, שירות לקוחות"
ARABIC = "خياطة"
MIXED = f"Kundendienst\n{HEBREW}"


def unavailable(route: Route) -> None:
    route.fulfill(
        status=503, headers={"Retry-After": "30"}, json={"detail": "Not now."}
    )


def results(page: Page) -> object:
    return page.get_by_role("heading", name="Best jobs")


def fail_once_focused(page: Page) -> None:
    """Cause a notice and focus its button."""
    page.route("**/api/recommend", unavailable)
    add_skills(page, "python")
    page.get_by_role("button", name="Try now").focus()


def test_f132_a_retry_that_fails_keeps_the_focus_on_its_button(
    browser: Browser, site: str
) -> None:
    with visiting(browser, site, statuses=(503,)) as page:
        fail_once_focused(page)
        with page.expect_response("**/api/recommend"):
            page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Try now")).to_be_focused()
        expect(page.locator(".clock")).to_contain_text("30 seconds")
        expect(page.get_by_role("button", name="Try now")).to_be_focused()


def test_f132_a_retry_that_succeeds_leads_to_the_results(
    browser: Browser, site: str
) -> None:
    with visiting(browser, site, statuses=(503,)) as page:
        fail_once_focused(page)
        page.unroute("**/api/recommend")
        page.keyboard.press("Enter")
        settle(page)
        expect(page.get_by_role("heading", name="Best jobs")).to_be_focused()


def test_f132_clearing_the_filters_of_an_empty_list_leads_to_the_results(
    page: Page,
) -> None:
    ask(page, "python")
    page.locator("#filters > summary").click()
    page.get_by_role("combobox", name="Company").fill("No Such Firm,")
    page.locator("#problem").get_by_role("button", name="Clear filters").press("Enter")
    expect(page.locator(".job")).to_have_count(10)
    expect(page.get_by_role("heading", name="Best jobs")).to_be_focused()


def test_f132_the_last_page_takes_its_button_but_not_the_focus(page: Page) -> None:
    ask(page, "python")
    page.locator("#filters > summary").click()
    page.get_by_label("Salary, at most").fill("31200")
    expect(page.locator("#summary")).to_contain_text("of 12 jobs")
    page.get_by_role("button", name="More jobs").press("Enter")
    expect(page.locator(".job h3").nth(10)).to_be_focused()
    expect(page.get_by_role("button", name="More jobs")).to_be_hidden()


def test_f132_jobs_that_come_late_do_not_take_the_focus_from_who_moved_on(
    page: Page,
) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:  # the browser's library takes no bound built-in
        held.append(route)

    ask(page, "python")
    page.route("**/api/recommend", hold)
    with page.expect_request("**/api/recommend"):
        page.get_by_role("button", name="More jobs").press("Enter")
    page.get_by_role("radio", name="Whole text").focus()
    held.pop().continue_()
    expect(page.locator(".job")).to_have_count(20)
    expect(page.get_by_role("radio", name="Whole text")).to_be_focused()


def test_f132_more_jobs_that_fail_and_then_come_are_where_the_focus_goes(
    browser: Browser, site: str
) -> None:
    with visiting(browser, site, statuses=(503,)) as page:
        ask(page, "python")
        page.route("**/api/recommend", unavailable)
        page.get_by_role("button", name="More jobs").press("Enter")
        again = page.locator("#more-problem").get_by_role("button", name="Try now")
        again.focus()
        page.unroute("**/api/recommend")
        page.keyboard.press("Enter")
        expect(page.locator(".job h3").nth(10)).to_be_focused()


def test_f132_back_keeps_the_focus_in_the_field_whose_chip_went(page: Page) -> None:
    ask(page, "python")
    ask(page, "python", "sql", typed="sql")
    page.get_by_role("button", name="Remove sql").focus()
    page.go_back()
    expect(page.locator(".chip")).to_have_count(1)
    expect(page.get_by_role("textbox", name="Skills")).to_be_focused()


def test_f132_similar_jobs_that_failed_give_the_focus_to_their_button(
    browser: Browser, site: str
) -> None:
    with visiting(browser, site, statuses=(503,)) as page:
        ask(page, "python")
        page.route("**/similar*", unavailable)
        job = page.locator(".job").first
        button = job.get_by_role("button", name="Similar jobs")
        button.press("Enter")
        job.get_by_role("button", name="Try now").focus()
        page.unroute("**/similar*")
        page.keyboard.press("Enter")
        expect(job.locator(".similar-jobs > li")).to_have_count(5)
        expect(button).to_be_focused()


def test_f132_the_health_view_gives_the_focus_to_its_title(
    browser: Browser, site: str
) -> None:
    with visiting(browser, site, statuses=(503,)) as page:
        page.route("**/readyz", unavailable)
        page.get_by_role("link", name="Health").click()
        page.get_by_role("button", name="Try now").focus()
        page.unroute("**/readyz")
        page.keyboard.press("Enter")
        title = page.get_by_role("heading", name="Health", exact=True)
        expect(title).to_be_focused()


def direction(page: Page, selector: str) -> str:
    found = page.locator(selector).first
    return str(found.evaluate("(element) => getComputedStyle(element).direction"))


def right_to_left_jobs(route: Route) -> None:
    job = {
        "job_id": "מ-17",
        "similarity_score": 0.5,
        "skills": MIXED,
        "columns": {"title": f"{ARABIC} (Berlin)", "location": ARABIC},
        "match_score": 0.5,
        "coverage": 0.5,
        "matched": [{"skill": ARABIC, "job_skill": "שירות לקוחות", "similarity": 0.9}],
        "close": [],
        "missing": ["Excel"],
    }
    route.fulfill(
        json={
            "success": True,
            "recommendations": [job],
            "total_jobs_analyzed": 1,
            "total_jobs_pending": 0,
            "detail": None,
            "next_cursor": None,
        }
    )


RIGHT_TO_LEFT = [".chip > span", ".job h3", ".requested", ".facts bdi"]


def test_f132_right_to_left_text_is_laid_out_as_such(page: Page) -> None:
    page.route("**/api/recommend", right_to_left_jobs)
    ask(page, ARABIC)
    for selector in RIGHT_TO_LEFT:
        assert direction(page, selector) == "rtl", selector
    assert not overflows(page)
    field = page.get_by_role("textbox", name="Skills")
    for text, wanted in ((ARABIC, "rtl"), ("sewing", "ltr")):
        field.fill(text)
        assert direction(page, "#skills") == wanted
    page.get_by_role("radio", name="By user").check()
    page.get_by_label("User id").fill("מ-17")
    assert direction(page, "#user") == "rtl"


def test_f132_each_line_of_a_text_has_its_own_direction(page: Page) -> None:
    """The German line begins at the left edge, the Hebrew one at the right."""
    page.route("**/api/recommend", right_to_left_jobs)
    ask(page, "python")
    edges = page.locator(".job-text").evaluate(
        """(text) => {
            const box = text.getBoundingClientRect();
            const range = document.createRange();
            range.selectNodeContents(text);
            const rects = [...range.getClientRects()];
            const top = Math.min(...rects.map((each) => each.top));
            const lines = [0, 1].map((n) =>
                rects.filter((each) => (each.top > top + 5) === (n === 1)));
            return [
                Math.min(...lines[0].map((each) => each.left)) - box.left,
                box.right - Math.max(...lines[1].map((each) => each.right)),
            ];
        }"""
    )
    assert edges == pytest.approx([0, 0], abs=1)


def test_f132_the_order_of_an_id_and_its_label_stays(page: Page) -> None:
    page.route("**/api/recommend", right_to_left_jobs)
    ask(page, "python")
    last = page.locator(".job .facts > span").last
    expect(last).to_have_text("Job מ-17")
    label, id_ = last.evaluate(
        """(span) => [...span.childNodes].map((node) => {
            const range = document.createRange();
            range.selectNodeContents(node);
            return range.getBoundingClientRect().left;
        })"""
    )
    assert label < id_
