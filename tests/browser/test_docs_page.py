"""`/docs` without the network: Swagger UI from the files of a package."""

from playwright.sync_api import Browser, expect

from tests.browser.visit import visiting


def test_it_lists_every_operation_and_asks_no_other_server(
    browser: Browser, site: str
) -> None:
    with visiting(browser, f"{site}docs") as page:
        document = page.request.get(f"{site}openapi.json").json()
        count = sum(len(operations) for operations in document["paths"].values())
        assert count >= 8
        expect(page.locator(".opblock")).to_have_count(count)
        page.locator("#operations-recommendations-recommend_jobs button").first.click()
        expect(page.get_by_role("button", name="Try it out")).to_be_visible()
