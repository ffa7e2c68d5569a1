"""Text from the database stays text; nothing is loaded from anywhere else."""

from playwright.sync_api import Browser, Page, expect

from tests.browser.site import HOSTILE_TEXT
from tests.browser.visit import ask, visiting

HOSTILE_SKILL = "<img src=x onerror=\"document.title='run'\">"


def test_markup_in_jobs_is_shown_as_it_was_written(page: Page) -> None:
    ask(page, HOSTILE_SKILL, "<script>document.title='run'</script>")
    job = page.locator(".job").first
    expect(job.locator("> .job-text")).to_contain_text(HOSTILE_TEXT)
    job.get_by_role("button", name="Similar jobs").click()
    expect(job.locator(".similar-jobs .job-text").first).to_contain_text(HOSTILE_TEXT)
    expect(page.locator("main").locator("img, script, i, u")).to_have_count(0)
    expect(page).to_have_title("Job recommendations")


def test_typed_text_is_shown_unchanged(page: Page) -> None:
    ask(page, HOSTILE_SKILL)
    expect(page.locator(".chip > span")).to_have_text(HOSTILE_SKILL)
    expect(page.locator("main img")).to_have_count(0)
    expect(page).to_have_title("Job recommendations")


def test_the_content_security_policy_blocks_injected_scripts(
    browser: Browser, site: str
) -> None:
    # The browser logs the violation, as it should.
    with visiting(browser, site, allowed=["requires 'Trusted", "inline"]) as page:
        for mistake in (
            "document.body.innerHTML = '<b>text</b>'",
            "document.body.setAttribute('onclick', '1')",
            "document.createElement('script').textContent = '1'",
        ):
            outcome = page.evaluate(
                f"() => {{ try {{ {mistake} }} catch (error) {{ return error.name }} }}"
            )
            assert outcome == "TypeError", mistake


def test_the_page_works_without_any_other_server(browser: Browser, site: str) -> None:
    with visiting(browser, site) as page:
        page.route(lambda url: not url.startswith(site), lambda route: route.abort())
        page.reload()
        ask(page, "python")
        page.get_by_role("link", name="Health").click()
        expect(page.get_by_text("Ready", exact=True)).to_be_visible()
