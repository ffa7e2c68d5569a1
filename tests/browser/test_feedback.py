"""Saving and dismissing the jobs of a search by user."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.visit import ask, axe_violations, settle, visiting
from tests.support.postgres import run

USER = 3


@pytest.fixture
def page(browser: Browser, typed_site: str, sample_url: str) -> Iterator[Page]:
    """The page with the jobs of a user without feedback."""
    run(sample_url, "DELETE FROM recommender.feedback")
    with visiting(browser, f"{typed_site}#jobs?user={USER}") as page:
        settle(page)
        yield page
    run(sample_url, "DELETE FROM recommender.feedback")


def stored(url: str) -> list[tuple[object, ...]]:
    return run(url, "SELECT job_id, event::text FROM recommender.feedback ORDER BY 1")


def first_job(page: Page) -> Locator:
    return page.locator("#list > .job").first


def title_of(job: Locator) -> str:
    return job.locator("h3").inner_text()


def button(page: Page, act: str, title: str) -> Locator:
    return page.get_by_role("button", name=f"{act} {title}", exact=True)


def test_a_saved_job_stays_saved_and_can_be_taken_back(
    page: Page, sample_url: str
) -> None:
    title = title_of(first_job(page))
    save = button(page, "Save", title).first
    expect(save).to_have_attribute("aria-pressed", "false")
    save.press("Enter")
    expect(save).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#announcer")).to_have_text(f"{title} saved.")
    assert [event for _, event in stored(sample_url)] == ["saved"]
    page.reload()
    settle(page)
    expect(page.locator(".acts > [aria-pressed=true]")).to_have_count(1)
    saved = page.locator(".job", has=page.locator(".acts > [aria-pressed=true]"))
    expect(saved).to_contain_text("Because you saved this job.")
    page.locator(".acts > [aria-pressed=true]").click()
    expect(page.locator(".acts > [aria-pressed=true]")).to_have_count(0)
    assert stored(sample_url) == []


def test_a_dismissed_job_goes_and_comes_back_by_undo(
    page: Page, typed_site: str, sample_url: str
) -> None:
    first = first_job(page)
    title, text = title_of(first), first.inner_text()
    button(page, "Dismiss", title).first.press("Enter")
    expect(first).to_contain_text(f"Dismissed: {title}")
    undo = first.get_by_role("button", name="Undo")
    expect(undo).to_be_focused()
    assert not axe_violations(page)
    ids = {str(job) for job, event in stored(sample_url) if event == "dismissed"}
    assert ids
    asked = {"user_id": USER, "top_n": 50, "rank_by": "hybrid"}
    answer = httpx.post(f"{typed_site}api/recommend", json=asked, timeout=60).json()
    assert not ids & {str(job["job_id"]) for job in answer["recommendations"]}

    undo.press("Enter")
    expect(first.locator("h3")).to_have_text(title)
    expect(button(page, "Dismiss", title).first).to_be_focused()
    assert first.inner_text() == text
    assert stored(sample_url) == []


def test_a_dismissed_job_does_not_return_after_a_reload(page: Page) -> None:
    title, number = title_of(first_job(page)), page.locator(".job").count()
    button(page, "Dismiss", title).first.click()
    expect(page.locator(".dismissed")).to_be_visible()
    page.reload()
    settle(page)
    # Also those in the folded list of weaker matches.
    titles = page.locator(".job h3").all_text_contents()
    assert len(titles) == number
    assert title not in titles


def test_what_cannot_be_stored_is_said_and_the_job_stays(
    browser: Browser, typed_site: str
) -> None:
    with visiting(browser, f"{typed_site}#jobs?user={USER}", statuses=[503]) as page:
        settle(page)
        page.route(
            "**/api/feedback/batch",
            lambda route: route.fulfill(
                status=503, json={"success": False, "detail": "The database is away."}
            ),
        )
        title = title_of(first_job(page))
        button(page, "Dismiss", title).first.click()
        expect(first_job(page).get_by_role("alert").first).to_have_text(
            "Not stored. The database is away."
        )
        expect(first_job(page).locator("h3")).to_have_text(title)


def test_a_search_by_skills_has_no_one_whose_feedback_it_could_be(page: Page) -> None:
    page.get_by_role("radio", name="By skills").check()
    ask(page, "preventing falls")
    expect(page.locator(".acts")).to_have_count(0)
