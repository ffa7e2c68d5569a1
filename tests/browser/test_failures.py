"""Error notices, retries and the API key."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import address
from tests.browser.visit import add_skills, ask, settle, visiting
from tests.support.cluster import socket_of
from tests.support.postgres import name_of
from tests.support.proxy import Proxy, running_proxy
from tests.support.service import Service, running_service

KEY = "a-key-of-sufficient-length"


@pytest.fixture(scope="module")
def proxy(sample_url: str) -> Iterator[Proxy]:
    with running_proxy(socket_of(sample_url)) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def closed(
    proxy: Proxy, sample_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service that needs a key, whose database can be made unreachable."""
    folder: Path = tmp_path_factory.mktemp("closed")
    with running_service(
        proxy.url(name_of(sample_url)),
        folder / "log",
        API_KEYS=KEY,
        SKILL_CACHE_DIR=str(folder / "skills"),
    ) as service:
        yield service


@pytest.fixture
def keyed(browser: Browser, closed: Service, proxy: Proxy) -> Iterator[Page]:
    """A page whose visitor has entered the key."""
    with visiting(browser, address(closed), statuses=(401, 503)) as page:
        give_key(page, KEY)
        expect(page.get_by_role("dialog")).to_be_hidden()
        yield page
    proxy.restore()


def give_key(page: Page, key: str) -> None:
    page.get_by_label("API key", exact=True).fill(key)
    page.get_by_role("button", name="Use this key").click()


def test_an_unavailable_database_is_reported_and_retried(
    keyed: Page, proxy: Proxy
) -> None:
    ask(keyed, "python")
    proxy.refuse()
    add_skills(keyed, "sql")
    alert = keyed.get_by_role("alert").filter(has_text="Temporarily unavailable")
    expect(alert).to_contain_text("database")
    expect(keyed.locator(".clock")).to_contain_text("Trying again in")
    # Jobs of the previous search must not look like the results of this one.
    expect(keyed.locator(".job")).to_have_count(0)
    proxy.restore()
    settle(keyed)
    expect(alert).to_have_count(0)
    expect(keyed.locator(".job")).to_have_count(10)


def test_the_visitor_need_not_wait_for_the_next_try(keyed: Page, proxy: Proxy) -> None:
    proxy.refuse()
    add_skills(keyed, "python")
    retry = keyed.get_by_role("button", name="Try now")
    expect(retry).to_be_visible()
    proxy.restore()
    retry.click()
    settle(keyed)


def test_the_health_view_says_so_too_and_recovers(keyed: Page, proxy: Proxy) -> None:
    proxy.refuse()
    keyed.get_by_role("link", name="Health").click()
    expect(keyed.get_by_role("alert")).to_contain_text("Temporarily unavailable")
    proxy.restore()
    expect(keyed.get_by_text("Ready", exact=True)).to_be_visible()
    expect(keyed.get_by_role("alert").filter(has_text="Temporarily")).to_have_count(0)


def test_the_key_is_requested_and_kept_for_the_session_only(
    browser: Browser, closed: Service
) -> None:
    with visiting(browser, address(closed), statuses=(401,)) as page:
        dialog = page.get_by_role("dialog", name="API key required")
        expect(dialog).to_be_visible()
        expect(page.get_by_label("API key", exact=True)).to_be_focused()
        give_key(page, "a-wrong-key-of-some-length")
        expect(dialog.get_by_role("alert")).to_contain_text("refused")
        give_key(page, KEY)
        expect(dialog).to_be_hidden()
        ask(page, "python")
        assert page.evaluate("Object.entries(sessionStorage)") == [["api-key", KEY]]
        assert page.evaluate("localStorage.length") == 0
        assert page.evaluate("document.cookie") == ""
        page.reload()
        ask(page, "python", "sql", typed="sql")
        expect(dialog).to_be_hidden()
        page.get_by_role("button", name="Forget API key").click()
        expect(dialog).to_be_visible()
        assert page.evaluate("sessionStorage.length") == 0


def decline(page: Page) -> None:
    """Close the key dialog and check the notice."""
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    alert = page.get_by_role("alert").filter(has_text="API key required")
    expect(alert).to_be_visible()


def test_without_a_key_the_page_explains_and_asks_again(
    browser: Browser, closed: Service
) -> None:
    with visiting(browser, address(closed), statuses=(401,)) as page:
        page.get_by_role("button", name="Not now").click()
        add_skills(page, "python")
        decline(page)
        page.get_by_role("button", name="Enter the API key").click()
        give_key(page, KEY)
        settle(page)


def test_a_late_401_does_not_ask_a_visitor_who_declined(
    browser: Browser, closed: Service
) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:  # the browser's library takes no bound built-in
        held.append(route)

    with visiting(browser, address(closed), statuses=(401,)) as page:
        page.get_by_role("button", name="Not now").click()
        page.route("**/api/columns", hold)
        with page.expect_request("**/api/columns"):
            add_skills(page, "python")
        decline(page)
        with page.expect_response("**/api/columns"):
            held.pop().continue_()
        page.get_by_role("button", name="Enter the API key").click()
        give_key(page, KEY)
        settle(page)


def test_an_unknown_user_is_no_mystery(browser: Browser, site: str) -> None:
    with visiting(browser, site, statuses=(404,)) as page:
        page.get_by_role("radio", name="By user").check()
        page.get_by_label("User id").fill("4711")
        alert = page.get_by_role("alert").filter(has_text="Not found")
        expect(alert).to_contain_text("No user has this user_id.")
        page.get_by_label("User id").fill("2")
        settle(page)
        expect(alert).to_have_count(0)


def test_errors_show_the_message_of_the_service(browser: Browser, site: str) -> None:
    with visiting(browser, site, statuses=(413,)) as page:
        page.get_by_role("textbox", name="Skills").fill("x" * 70_000)
        expect(page.get_by_role("alert").first).to_contain_text("The body is larger")
        expect(page.get_by_role("button", name="Try now")).to_have_count(0)


def test_a_newer_search_aborts_the_older_one(page: Page) -> None:
    """Only the results of the last search are shown, however late older ones arrive."""

    def hold(route: Route) -> None:
        if '"slow"' in (route.request.post_data or ""):
            held.append(route)  # never answered
        else:
            route.continue_()

    held: list[Route] = []
    failed: list[str] = []
    page.route("**/api/recommend", hold)
    page.on("requestfailed", lambda request: failed.append(request.failure or ""))
    with page.expect_request(lambda r: '"slow"' in (r.post_data or "")):
        add_skills(page, "slow")
    expect(page.locator("#working")).to_be_visible()
    ask_after = page.locator(".job")
    page.get_by_role("textbox", name="Skills").fill("welding")
    page.keyboard.press("Enter")
    expect(ask_after).to_have_count(10)
    assert failed == ["net::ERR_ABORTED"]
    expect(page.locator("#working")).to_be_hidden()
