"""The notice of each kind of failure, and the lamp of the Health view."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.visit import add_skills, ask, settle, visiting

# The browser's own console messages about these failures.
CONSOLE = ["Failed to load resource", "ERR_", "net::"]


def answer(**fields: object) -> Callable[[Route], None]:
    return lambda route: route.fulfill(**fields)  # type: ignore[arg-type]


def cut_off(route: Route) -> None:
    route.abort("connectionrefused")


HTML = {"content_type": "text/html", "body": "<html>Sign in</html>"}
FAILURES = {
    "refused": (cut_off, "No connection", "cannot be reached"),
    "a sign-in page": (answer(**HTML), "Unexpected response", "sign in"),
    "JSON of another service": (
        answer(json={"status": "ok"}), "Unexpected response", "application/json"),
    "an empty answer": (answer(body=""), "Unexpected response", "sign in"),
    "a gateway's page": (
        answer(status=502, **HTML), "Temporarily unavailable", "status 502"),
    "a firewall": (answer(status=403, body=""), "Not allowed", "status 403"),
    "too large for a proxy": (
        answer(status=413, **HTML), "The request is too long", "status 413"),
    "too often": (
        answer(status=429, headers={"Retry-After": "7"}, json={"detail": "Slower."}),
        "Too many requests", "Slower."),
    "an error of the service": (
        answer(status=500, json={"detail": "Something broke."}),
        "The service failed", "Something broke."),
}  # fmt: skip


def a_redirect(site: str) -> Callable[[Route], None]:
    return answer(status=302, headers={"Location": site + "sign-in"}, body="")


def alert(page: Page, title: str) -> object:
    return page.get_by_role("alert").filter(has_text=title)


@pytest.mark.parametrize("failure", FAILURES)
def test_f131_a_failure_has_the_name_of_its_cause(
    browser: Browser, site: str, failure: str
) -> None:
    handler, title, sentence = FAILURES[failure]
    with visiting(browser, site, allowed=CONSOLE) as page:
        ask(page, "python")
        page.route("**/api/recommend", handler)
        add_skills(page, "welding")
        expect(page.locator("#problem .notice-title")).to_have_text(title)
        expect(page.locator("#problem")).to_contain_text(sentence)
        # Jobs of the previous search would look like the results of this one.
        expect(page.locator(".job")).to_have_count(0)
        page.unroute("**/api/recommend")
        add_skills(page, "nursing")
        settle(page)
        expect(page.locator("#problem .notice")).to_have_count(0)


def test_f131_a_redirect_is_not_followed_to_where_the_policy_ends(
    browser: Browser, site: str
) -> None:
    with visiting(browser, site, allowed=CONSOLE) as page:
        page.route("**/api/recommend", a_redirect(site))
        add_skills(page, "python")
        title = page.locator("#problem .notice-title")
        expect(title).to_have_text("Unexpected response")
        page.unroute("**/api/recommend")
        page.get_by_role("button", name="Reload the page").click()
        settle(page)


def test_f131_a_missing_network_is_reported_until_it_returns(
    browser: Browser, site: str
) -> None:
    with visiting(browser, site, allowed=CONSOLE) as page:
        ask(page, "python")
        page.context.set_offline(True)
        add_skills(page, "welding")
        title = page.locator("#problem .notice-title")
        expect(title).to_have_text("No network")
        # Before the countdown ends: the page's clock stands still.
        page.clock.install()
        page.context.set_offline(False)
        page.evaluate("dispatchEvent(new Event('online'))")
        expect(title).to_have_count(0)


@pytest.mark.parametrize("name", ["main.js", "notice.js", "watch.js", "base.css"])
@pytest.mark.parametrize("how", ["abort", "404"])
def test_f131_a_file_that_does_not_load_is_reported(
    browser: Browser, site: str, name: str, how: str
) -> None:
    with visiting(browser, site, allowed=CONSOLE) as page:
        page.route(
            f"**/{name}",
            lambda route: (
                route.abort() if how == "abort" else route.fulfill(status=404, body="")
            ),
        )
        page.reload()
        if name == "watch.js":  # the others run without it
            ask(page, "python")
            return
        missing = page.get_by_role("alert").filter(has_text="A part of the page is")
        expect(missing).to_be_visible()
        page.unroute(f"**/{name}")
        page.get_by_role("button", name="Reload the page").click()
        ask(page, "python")
        expect(missing).to_be_hidden()


def test_f131_a_page_none_of_whose_scripts_arrives_says_so(
    browser: Browser, site: str
) -> None:
    with visiting(browser, site, allowed=CONSOLE) as page:
        page.route("**/*.js", lambda route: route.abort())
        page.reload()
        broken = page.locator("#broken")
        expect(broken).to_have_css("visibility", "hidden")
        # Finish the style sheet's animation of ten seconds.
        broken.evaluate("(e) => e.getAnimations().forEach((each) => each.finish())")
        expect(broken).to_be_visible()
        expect(broken).to_contain_text("The page has not started")


LACKING = {
    "AbortSignal.any": "delete AbortSignal.any",
    "AbortSignal.timeout": "delete AbortSignal.timeout",
    "dialogs": "delete HTMLDialogElement.prototype.showModal",
    "Array.prototype.at": "delete Array.prototype.at",
    "JavaScript modules": "delete HTMLScriptElement.prototype.noModule",
}


@pytest.mark.parametrize("feature", LACKING)
def test_f131_an_old_browser_is_told_what_it_lacks(
    browser: Browser, site: str, feature: str
) -> None:
    with visiting(browser, site, errors=["is not a function"]) as page:
        page.add_init_script(LACKING[feature])
        page.reload()
        alert = page.get_by_role("alert").filter(has_text="This browser is too old")
        expect(alert).to_contain_text(f"It lacks {feature}, ")


def test_f131_syntax_that_a_browser_cannot_read_is_its_age(
    browser: Browser, site: str
) -> None:
    with visiting(browser, site, errors=["Unexpected"]) as page:
        page.route(
            "**/notice.js",
            lambda route: route.fulfill(
                content_type="text/javascript", body="export const = new;"
            ),
        )
        page.reload()
        alert = page.get_by_role("alert").filter(has_text="This browser is too old")
        expect(alert).to_contain_text("current JavaScript syntax")


def test_f131_a_mistake_of_the_page_is_not_called_a_network_problem(
    browser: Browser, site: str
) -> None:
    with visiting(browser, site, errors=["of null"]) as page:
        page.route(
            "**/api/recommend",
            answer(json={"success": True, "recommendations": [None]}),
        )
        add_skills(page, "python")
        broken = page.get_by_role("alert").filter(has_text="The page has an error")
        expect(broken).to_contain_text("TypeError")
        expect(page.locator("#working")).to_be_hidden()
        expect(page.locator("#problem .notice")).to_have_count(0)


def test_f131_a_tab_without_storage_keeps_the_key_while_it_is_open(
    browser: Browser, site: str
) -> None:
    with visiting(browser, site, statuses=(401,)) as page:
        page.add_init_script(
            "Object.defineProperty(window, 'sessionStorage',"
            " { get() { throw new DOMException('no', 'SecurityError') } })"
        )

        def guard(route: Route) -> None:
            if route.request.headers.get("x-api-key") == "a key":
                route.continue_()
            else:
                route.fulfill(status=401, json={})

        page.route("**/api/*", guard)
        page.reload()
        page.get_by_label("API key", exact=True).fill("schlüssel")
        page.get_by_role("button", name="Use this key").click()
        expect(page.locator("#key-problem")).to_contain_text("only ASCII")
        page.get_by_label("API key", exact=True).fill("a key")
        page.get_by_role("button", name="Use this key").click()
        ask(page, "python")
        expect(page.get_by_role("button", name="Forget API key")).to_be_visible()


LAMPS = {
    "bad": (503, "Not ready", {"detail": "The database does not answer."}),
    "unknown": (404, "Unknown", {"detail": "Not Found."}),
}


@pytest.mark.parametrize("lamp", LAMPS)
def test_f131_the_lamp_shows_the_status(browser: Browser, site: str, lamp: str) -> None:
    status, title, detail = LAMPS[lamp]
    with visiting(browser, site + "#health", statuses=(status,)) as page:
        shown = page.get_by_role("region", name="Status")
        expect(shown).to_contain_text("Ready")
        expect(shown.locator(".lamp")).to_have_class("lamp good")
        page.route("**/readyz", answer(status=status, json=detail))
        look_again(page)
        expect(shown).to_contain_text(title)
        expect(shown.locator(".lamp")).to_have_class(f"lamp {lamp}")
        expect(page.locator("#announcer")).to_have_text(f"Status: {title}.")
        expect(page.locator("#health-problem")).to_contain_text(detail["detail"])
        expect(page.locator("#health-cards")).to_have_class(re.compile("old"))
        page.unroute("**/readyz")
        look_again(page)
        expect(shown.locator(".lamp")).to_have_class("lamp good")


def test_f131_the_lamp_is_dark_while_nothing_is_known(
    browser: Browser, site: str
) -> None:
    with visiting(browser, site, allowed=CONSOLE) as page:
        page.route("**/readyz", cut_off)
        page.get_by_role("link", name="Health").click()
        shown = page.get_by_role("region", name="Status")
        expect(shown).to_contain_text("Unknown")
        expect(shown.locator(".lamp")).to_have_class("lamp unknown")
        expect(page.locator("#health-cards")).to_be_hidden()


def test_f131_metrics_that_fail_do_not_put_the_lamp_out(
    browser: Browser, site: str
) -> None:
    with visiting(browser, site, statuses=(503,)) as page:
        page.route("**/metrics", answer(status=503, json={"detail": "Later."}))
        page.get_by_role("link", name="Health").click()
        expect(page.get_by_role("region", name="Status")).to_contain_text("Ready")
        expect(page.locator(".lamp")).to_have_class("lamp good")
        expect(page.locator("#health-problem")).to_contain_text("Later.")


def look_again(page: Page) -> None:
    page.get_by_role("link", name="Find jobs").click()
    page.get_by_role("link", name="Health").click()
