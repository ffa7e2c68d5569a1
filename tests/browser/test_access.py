"""Accessibility: axe, keyboard navigation, small screens."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.visit import (
    PHONE,
    Scheme,
    ask,
    axe_violations,
    overflows,
    settle,
    visiting,
)

CARE = ("caring for elderly people", "preventing falls", "giving out medicines")


def start(page: Page) -> None:
    expect(page.get_by_text("Start with what a person can do")).to_be_visible()


def results(page: Page) -> None:
    ask(page, *CARE)
    page.get_by_role("button", name="Similar jobs").first.click()
    expect(page.locator(".similar-jobs > li")).to_have_count(5)


def by_skills(page: Page) -> None:
    ask(page, *CARE)
    page.get_by_label("Skill by skill").check()
    expect(page.get_by_role("meter", name="Skills matched").first).to_be_visible()


def unknown_user(page: Page) -> None:
    page.get_by_role("radio", name="By user").check()
    page.get_by_label("User id").fill("4711")
    expect(page.get_by_role("alert").first).to_contain_text("No user has this user_id.")


def away(page: Page) -> None:
    page.route(
        "**/api/recommend",
        lambda route: route.fulfill(
            status=503,
            headers={"Retry-After": "30"},
            json={"success": False, "detail": "The database does not answer."},
        ),
    )
    page.get_by_role("textbox", name="Skills").fill("python")
    expect(page.locator(".clock")).to_contain_text("Trying again in 30 seconds")


def nothing(page: Page) -> None:
    page.route(
        "**/api/recommend",
        lambda route: route.fulfill(
            json={
                "success": True,
                "recommendations": [],
                "total_jobs_analyzed": 0,
                "total_jobs_pending": 12,
                "detail": None,
            },
        ),
    )
    page.get_by_role("textbox", name="Skills").fill("python")
    expect(page.get_by_text("The jobs have no embeddings yet")).to_be_visible()
    expect(page.locator("#summary")).to_have_text(
        "No job found. 12 jobs could not be compared yet."
    )


def key(page: Page) -> None:
    page.route("**/api/recommend", lambda route: route.fulfill(status=401, json={}))
    page.get_by_role("textbox", name="Skills").fill("python")
    expect(page.get_by_role("dialog")).to_be_visible()


def health(page: Page) -> None:
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_text("Ready", exact=True)).to_be_visible()


STATES: list[Callable[[Page], None]] = [
    start, results, by_skills, unknown_user, away, nothing, key, health,
]  # fmt: skip


@pytest.mark.parametrize("state", STATES, ids=lambda state: str(state.__name__))
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_wider_than_a_phone(
    browser: Browser, site: str, scheme: Scheme, state: Callable[[Page], None]
) -> None:
    with visiting(browser, site, scheme=scheme, statuses=(401, 404, 503)) as page:
        state(page)
        assert axe_violations(page) == []
        assert not overflows(page)
        page.set_viewport_size(PHONE)
        assert not overflows(page)
        if scheme == "light":  # the colours are those of the wide page
            assert axe_violations(page) == []


def test_a_narrow_phone_with_long_words_does_not_scroll_sideways(
    browser: Browser, site: str
) -> None:
    with visiting(browser, site, viewport={"width": 320, "height": 640}) as page:
        ask(page, "Rindfleischetikettierungsüberwachungsaufgabenübertragung" * 2)
        assert not overflows(page)


def test_the_schemes_differ_and_both_have_the_ground_they_promise(
    browser: Browser, site: str
) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    found = {}
    for scheme in ("light", "dark"):
        with visiting(browser, site, scheme=scheme) as page:
            found[scheme] = page.evaluate(ground)
    assert found == {"light": "rgb(245, 246, 248)", "dark": "rgb(16, 20, 26)"}


def focused(page: Page) -> str:
    """The accessible name of the focused element."""
    return str(
        page.evaluate(
            """() => {
                const at = document.activeElement;
                const label = at.labels?.[0]?.innerText.split("\\n")[0];
                return at.ariaLabel || label || at.innerText.trim();
            }"""
        )
    )


def press(page: Page, *keys: str) -> None:
    for each in keys:
        page.keyboard.press(each)


def tab_to(page: Page, name: str, *, most: int = 12) -> None:
    """Press Tab until the element with this name has the focus, visibly."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if focused(page).startswith(name):
            break
    assert focused(page).startswith(name), focused(page)
    assert page.evaluate(
        """() => {
            const at = document.activeElement;
            const shown = [at, at.nextElementSibling, at.parentElement].filter(Boolean);
            return shown.some((e) => getComputedStyle(e).outlineStyle !== "none");
        }"""
    ), f"nothing shows that {name} has the focus"


def test_everything_can_be_done_with_the_keyboard_alone(page: Page) -> None:
    tab_to(page, "Skip to the content", most=1)
    press(page, "Enter")
    expect(page.get_by_role("heading", name="Which jobs fit?")).to_be_focused()
    tab_to(page, "By skills")
    tab_to(page, "Skills")
    page.keyboard.type("preventing falls,geriatric nursing,juggling")
    press(page, "Enter")
    settle(page)
    # Back into the chips, away with the last one, and to the one before.
    press(page, "ArrowLeft", "Delete")
    expect(page.get_by_role("textbox", name="Skills")).to_be_focused()
    assert page.locator(".chip > span").all_inner_texts() == [
        "preventing falls",
        "geriatric nursing",
    ]
    tab_to(page, "Whole text")
    press(page, "ArrowDown")
    first = page.locator(".job").first
    expect(first.get_by_role("meter", name="Skills matched")).to_be_visible()
    tab_to(page, "Similar jobs")
    press(page, "Enter")
    expect(first.locator(".similar-jobs > li")).to_have_count(5)
    press(page, "Enter")
    expect(first.locator(".similar")).to_be_hidden()


def test_a_view_that_is_changed_by_keyboard_takes_the_focus_along(page: Page) -> None:
    tab_to(page, "Health")
    press(page, "Enter")
    expect(page.get_by_role("heading", name="Health", exact=True)).to_be_focused()
    expect(page).to_have_title(re.compile("Health"))
    expect(page.get_by_role("link", name="Health")).to_have_attribute(
        "aria-current", "page"
    )
    page.go_back()
    expect(page.get_by_role("heading", name="Which jobs fit?")).to_be_focused()


def test_the_key_dialog_keeps_the_focus_and_gives_it_back(
    browser: Browser, site: str
) -> None:
    with visiting(browser, site, statuses=(401,)) as page:
        page.get_by_role("textbox", name="Skills").focus()
        key(page)
        expect(page.get_by_label("API key", exact=True)).to_be_focused()
        for _ in range(6):
            press(page, "Tab")
            outside = "document.activeElement.closest('main, header') !== null"
            assert not page.evaluate(outside)
        press(page, "Escape")
        expect(page.get_by_role("textbox", name="Skills")).to_be_focused()


def test_changes_are_announced_to_screen_readers(page: Page) -> None:
    status = page.get_by_role("status")
    ask(page, "python")
    expect(page.locator("#announcer")).to_have_text("python added.")
    expect(status.filter(has_text="The best 10 of")).to_have_count(1)
    page.get_by_role("textbox", name="Skills").fill("Python,")
    expect(page.locator("#announcer")).to_have_text("Python is already in the list.")
    for tag, word in ((".tag.matched", "Matched: "), (".tag.missing", "Missing: ")):
        expect(page.locator(tag).first).to_contain_text(word)
