"""The address keeps the search for reload, Back, Forward and shared links."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from tests.browser.visit import add_skills, ask, settle, visiting


def chips(page: Page) -> list[str]:
    return page.locator(".chip > span").all_inner_texts()


def titles(page: Page) -> list[str]:
    return page.locator(".job h3").all_inner_texts()


def by_user(page: Page) -> None:
    page.get_by_role("radio", name="By user").check()
    page.get_by_label("User id").fill("1")


def by_skills(page: Page) -> None:
    # Not the jobs of the first skills.
    with page.expect_response(lambda r: "תפירה" in (r.request.post_data or "")):
        add_skills(page, "C++, C#", "testing (unit, end to end)", "50 % & más", "תפירה")


def by_text(page: Page) -> None:
    page.get_by_role("textbox", name="Skills").fill("arc welding")


def by_ranking_and_filters(page: Page) -> None:
    add_skills(page, "python")
    page.get_by_label("Skill by skill").check()
    page.locator("#filters > summary").click()
    page.get_by_role("combobox", name="Location").fill("Remote, Köln,")
    page.get_by_label("Remote", exact=True).select_option("yes")
    page.get_by_label("Salary, at least").fill("9007199254740993")
    page.get_by_label("Posted, at most").fill("2026-12-24")
    # Else the jobs of an earlier search may still be there on a busy machine.
    with page.expect_response(lambda r: "30100" in (r.request.post_data or "")):
        page.get_by_label("Salary, at least").fill("30100")


def form(page: Page) -> object:
    """The values of the form; typed text counts as the chip that it becomes."""
    return page.evaluate(
        """() => {
            const chips = [...document.querySelectorAll(".chip > span")];
            const typed = document.querySelector("#skills").value;
            const fields = document.querySelectorAll("#search input, select");
            return [
                [...chips.map((c) => c.textContent), typed].filter(Boolean),
                [...fields].filter((f) => f.id !== "skills")
                    .map((f) => (f.type === "radio" ? f.checked : f.value)),
            ];
        }"""
    )


SEARCHES = [by_user, by_skills, by_text, by_ranking_and_filters]


@pytest.mark.parametrize("search", SEARCHES, ids=lambda each: str(each.__name__))
def test_f130_a_reload_and_a_shared_link_show_the_same_search_and_answer(
    browser: Browser, site: str, page: Page, search: Callable[[Page], None]
) -> None:
    search(page)
    settle(page)
    expected = (form(page), titles(page))
    page.reload()
    settle(page)
    expect(page.locator(".job h3")).to_have_count(len(expected[1]))
    assert (form(page), titles(page)) == expected
    with visiting(browser, page.url) as other:
        settle(other)
        expect(other.locator(".job h3")).to_have_text(expected[1])
        assert form(other) == expected[0]


def test_f130_back_and_forward_go_from_search_to_search(page: Page) -> None:
    ask(page, "python")
    ask(page, "python", "welding", typed="welding")
    by_user(page)
    settle(page)
    expect(page.locator("#user")).to_have_value("1")
    page.go_back()
    expect(page.get_by_role("radio", name="By skills")).to_be_checked()
    assert chips(page) == ["python", "welding"]
    page.go_back()
    expect(page.locator(".chip")).to_have_count(1)
    assert chips(page) == ["python"]
    settle(page)
    page.go_back()
    expect(page.get_by_text("Start with what a person can do")).to_be_visible()
    assert chips(page) == []
    page.go_forward()
    settle(page)
    assert chips(page) == ["python"]


def test_f130_typing_makes_one_entry_of_the_history_and_a_pause_another(
    page: Page,
) -> None:
    page.clock.install()
    before = page.evaluate("history.length")
    field = page.get_by_role("textbox", name="Skills")
    field.press_sequentially("machine learning")
    assert page.evaluate("history.length") == before + 1
    page.clock.fast_forward(10_000)
    field.press_sequentially("s")
    assert page.evaluate("history.length") == before + 2
    page.go_back()
    assert chips(page) == ["machine learning"]


def test_f130_the_health_view_leads_back_to_the_search(page: Page) -> None:
    ask(page, "python")
    shown = titles(page)
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_text("Ready", exact=True)).to_be_visible()
    page.get_by_role("link", name="Find jobs").click()
    expect(page.locator(".job h3")).to_have_text(shown)
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_text("Ready", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_text("Ready", exact=True)).to_be_visible()
    page.get_by_role("link", name="Find jobs").click()
    expect(page.locator(".job h3")).to_have_text(shown)
    assert chips(page) == ["python"]


@pytest.mark.parametrize(
    "address",
    [
        "#jobs?skill=python&rank=telepathy",
        "#jobs?skill=python&filters={",
        "#jobs?skill=python&filters=[1]",
        "#jobs?skill=python&skill=%20&unknown=1",
        "#nowhere?skill=python",
        "?skill=sql#jobs?skill=python",
    ],
)
def test_f130_a_typed_address_searches_for_its_valid_parts(
    browser: Browser, site: str, address: str
) -> None:
    with visiting(browser, site + address) as page:
        settle(page)
        assert chips(page) == ["python"]
        expect(page).to_have_url(re.compile("#jobs.skill=python&rank=similarity$"))


def test_f130_a_filter_in_the_address_without_a_control_is_still_sent(
    browser: Browser, site: str
) -> None:
    link = site + '#jobs?skill=python&filters={"secret":1,"remote":true}'
    with visiting(browser, link, statuses=(422,)) as page:
        alert = page.get_by_role("alert").filter(has_text="The request was refused")
        expect(alert).to_contain_text("filters names an unknown column")
        page.locator("#filters > summary").click()
        expect(page.get_by_label("Remote", exact=True)).to_have_value("yes")
        expect(page.locator("#filter-count")).to_have_text("2 set")
        page.get_by_role("button", name="Clear filters").click()
        settle(page)
        expect(page).to_have_url(re.compile("skill=python&rank=similarity$"))


def asked_skills(page: Page) -> list[str]:
    """The skills of all later requests."""
    seen: list[str] = []

    def note(request: Request) -> None:
        if request.url.endswith("/api/recommend"):
            seen.append((request.post_data_json or {})["skills"])

    page.on("request", note)
    return seen


def hold_first(page: Page) -> list[Route]:
    """Hold the first request until its route continues."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/api/recommend", hold)
    return held


def test_f130_more_jobs_right_after_typing_searches_for_the_typed_text(
    page: Page,
) -> None:
    ask(page, "python")
    asked = asked_skills(page)
    page.get_by_role("textbox", name="Skills").fill("nursing")
    page.get_by_role("button", name="More jobs").click()
    expect(page.locator(".job").first).to_contain_text("nursing")
    settle(page)
    assert asked == ["python, nursing"]
    expect(page.locator(".job")).to_have_count(10)


def test_f130_back_during_a_request_shows_the_previous_search(
    page: Page,
) -> None:
    ask(page, "python")
    shown = titles(page)
    held = hold_first(page)
    add_skills(page, "welding")
    expect(page.locator("#working")).to_be_visible()
    page.go_back()
    settle(page)
    expect(page.locator(".job h3")).to_have_text(shown)
    assert chips(page) == ["python"]
    assert len(held) == 1


def test_f130_a_new_search_replaces_a_fetch_of_more_jobs(
    page: Page,
) -> None:
    ask(page, "python")
    held = hold_first(page)
    page.get_by_role("button", name="More jobs").click()
    expect(page.locator("#working")).to_be_visible()
    ask(page, "python", "welding", typed="welding")
    expect(page.locator(".job")).to_have_count(10)
    # Focus stays where the visitor types; late results do not move it.
    expect(page.get_by_role("textbox", name="Skills")).to_be_focused()
    assert len(held) == 1


def test_f130_a_word_of_an_input_method_is_no_skill_before_it_is_chosen(
    page: Page,
) -> None:
    field = page.get_by_role("textbox", name="Skills")
    field.evaluate(
        """(input) => {
            input.focus();
            input.dispatchEvent(new CompositionEvent("compositionstart"));
            input.value = "看護、介護";
            const event = { isComposing: true, bubbles: true };
            input.dispatchEvent(new InputEvent("input", event));
            const enter = { key: "Enter", isComposing: true, bubbles: true };
            input.dispatchEvent(new KeyboardEvent("keydown", enter));
        }"""
    )
    assert chips(page) == []
    field.press("Enter")
    assert chips(page) == ["看護、介護"]


def test_f130_an_answer_before_the_columns_gets_its_facts_when_they_come(
    browser: Browser, site: str
) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:  # the browser's library takes no bound built-in
        held.append(route)

    with visiting(browser, site) as page:
        page.route("**/api/columns", hold)
        page.evaluate("location.hash = '#jobs?skill=geriatric+nursing'")
        page.reload()
        settle(page)
        expect(page.locator(".job h3").first).to_have_text("Geriatric Nurse")
        held.pop().continue_()
        expect(page.locator(".facts").first).to_contain_text("Lindenhof Residence")
