"""Searching by skills and by user, and the job cards."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.visit import add_skills, ask, settle

CARE = ("caring for elderly people", "preventing falls", "giving out medicines")


def skills_field(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Skills")


def chips(page: Page) -> list[str]:
    return page.locator(".chip > span").all_inner_texts()


def first_job(page: Page) -> Locator:
    return page.locator(".job").first


def test_enter_a_comma_and_a_paste_make_chips_and_each_only_once(page: Page) -> None:
    field = skills_field(page)
    field.type("python")
    field.press("Enter")
    field.type("sql,")
    assert chips(page) == ["python", "sql"]
    field.fill("Docker; Cloud (AWS, Azure), SQL")
    assert chips(page) == ["python", "sql", "Docker", "Cloud (AWS, Azure)"]
    expect(field).to_have_value("")
    # A comma inside parentheses belongs to the skill.
    field.type("testing (unit, end to end),")
    assert chips(page)[-1] == "testing (unit, end to end)"


def test_backspace_takes_the_last_chip_and_buttons_take_their_own(page: Page) -> None:
    add_skills(page, "python", "sql", "docker")
    skills_field(page).press("Backspace")
    assert chips(page) == ["python", "sql"]
    page.get_by_role("button", name="Remove python").click()
    assert chips(page) == ["sql"]
    expect(page.locator("#announcer")).to_have_text("python removed.")
    # Focus goes to the neighbour, not to the top of the page.
    expect(page.get_by_role("button", name="Remove sql")).to_be_focused()
    page.keyboard.press("Delete")
    expect(skills_field(page)).to_be_focused()
    expect(page.get_by_text("Start with what a person can do")).to_be_visible()


def test_typing_alone_finds_jobs_after_a_pause(page: Page) -> None:
    skills_field(page).type("arc welding and steel pipes")
    settle(page)
    expect(first_job(page)).to_contain_text("welding")
    assert chips(page) == []


def test_a_word_that_becomes_a_chip_is_not_searched_twice(page: Page) -> None:
    page.clock.install()
    page.reload()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    skills_field(page).type("beekeeping")
    settle(page)
    skills_field(page).press("Enter")
    page.clock.fast_forward(5000)  # longer than the page's debounce
    settle(page)
    assert sum(url.endswith("/api/recommend") for url in asked) == 1


def test_a_job_shows_its_score_the_reasons_and_its_own_text(page: Page) -> None:
    ask(page, *CARE)
    job = first_job(page)
    expect(page.locator("#summary")).to_contain_text("The best 10 of 162 jobs in")
    meter = job.get_by_role("meter", name="Similarity")
    assert meter.get_attribute("aria-valuetext") == job.locator(".score b").inner_text()
    expect(job.locator(".tag.matched")).to_contain_text("preventing falls")
    expect(job.locator(".tag.matched .found")).to_contain_text("fall prevention")
    expect(job.locator(".tag.close .found")).to_contain_text("dementia care")
    expect(job.locator(".tag.missing")).to_contain_text("giving out medicines")
    expect(job.locator(".job-text")).to_have_text(
        "geriatric nursing, dementia care, fall prevention, medication rounds,"
        " palliative care, talking with relatives"
    )
    assert job.locator("mark.matched").all_inner_texts() == ["fall prevention"]
    assert job.locator("mark.close").all_inner_texts() == ["dementia care"]


def test_the_ranking_can_be_switched(page: Page) -> None:
    ask(page, "PostgreSQL", "Docker", "Python", "patience with users")
    expect(first_job(page).get_by_role("meter", name="Similarity")).to_be_visible()
    plain = page.locator(".job h3").all_inner_texts()
    with page.expect_response("**/api/recommend"):
        page.get_by_label("Skill by skill").check()
    expect(first_job(page).get_by_role("meter", name="Skills matched")).to_be_visible()
    # Weaker matches are folded: they have a text, and show none.
    shares = page.locator(".score b").all_text_contents()
    assert shares == sorted(shares, key=lambda text: -int(text.split()[0]))
    assert page.locator(".job h3").all_text_contents() != plain


def test_a_search_by_user_id(page: Page) -> None:
    page.get_by_role("radio", name="By user").check()
    page.get_by_label("User id").fill("1")
    settle(page)
    expect(first_job(page)).to_contain_text("dementia care")
    expect(first_job(page)).to_contain_text("helping confused seniors")


@pytest.mark.parametrize(
    "name", ["Caring for elderly people", "Web services in Python", "Wooden houses"]
)
def test_an_example_is_a_start(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()
    settle(page)
    expect(page.locator(".job")).to_have_count(10)
    expect(page.locator(".chip")).not_to_have_count(0)
    expect(skills_field(page)).to_be_focused()


def test_similar_jobs_open_below_a_job_and_close_again(page: Page) -> None:
    ask(page, *CARE)
    button = first_job(page).get_by_role("button", name="Similar jobs")
    button.click()
    similar = first_job(page).locator(".similar-jobs > li")
    expect(similar).to_have_count(5)
    expect(button).to_have_attribute("aria-expanded", "true")
    scores = [
        float(text)
        for text in similar.locator(".similar-head > span").all_inner_texts()
    ]
    assert scores == sorted(scores, reverse=True)
    button.click()
    expect(first_job(page).locator(".similar")).to_be_hidden()
    expect(button).to_have_attribute("aria-expanded", "false")


def test_many_missing_skills_are_folded_away(page: Page) -> None:
    page.get_by_role("textbox", name="Skills").fill(
        ", ".join(f"zither tune {number}" for number in range(20))
    )
    settle(page)
    tags = first_job(page).locator(".tag.missing")
    expect(tags).to_have_count(12)
    first_job(page).get_by_role("button", name=re.compile("and 8 more")).click()
    expect(tags).to_have_count(20)


def test_an_empty_search_shows_the_start(page: Page) -> None:
    expect(page.get_by_text("Start with what a person can do")).to_be_visible()
    expect(page.locator(".job")).to_have_count(0)
    expect(page.get_by_role("button", name="More jobs")).to_be_hidden()
