"""Typed queries are ranked by hybrid: relevance, weak matches and near-repeats."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.visit import add_skills, settle, visiting


@pytest.fixture
def typed(browser: Browser, typed_site: str) -> Iterator[Page]:
    with visiting(browser, typed_site) as page:
        yield page


def test_without_a_setting_the_page_starts_with_hybrid(typed: Page) -> None:
    expect(typed.get_by_role("radio", name=re.compile("Hybrid|All"))).to_be_checked()


def test_weak_matches_are_folded_away_below_the_others(typed: Page) -> None:
    add_skills(typed, "K8s", "CI/CD")
    settle(typed)
    best = typed.locator("#list .job")
    expect(best.first.locator("h3")).to_have_text("Backend Developer")
    expect(best.first).to_contain_text("strong match")
    weaker = typed.locator("#weaker")
    expect(weaker).to_be_visible()
    expect(weaker.locator(".job").first).not_to_be_visible()
    folded = int(typed.locator("#weaker-count").inner_text())
    assert folded == weaker.locator(".job").count() == 10 - best.count() > 0
    typed.get_by_text("Weaker matches").click()
    expect(weaker.locator(".job").first).to_be_visible()
    expect(weaker.locator(".job").first).to_contain_text("weak match")


def test_more_jobs_unfold_them_and_count_all(typed: Page) -> None:
    add_skills(typed, "K8s", "CI/CD")
    settle(typed)
    typed.get_by_role("button", name="More jobs").click()
    settle(typed)
    expect(typed.locator("#announcer")).to_have_text("10 more jobs, 20 in all.")
    expect(typed.locator("#weaker .job").last).to_be_visible()


def test_nothing_but_weak_matches_is_said_and_shown(typed: Page) -> None:
    add_skills(typed, "asdf qwer")
    settle(typed)
    expect(typed.locator("#problem")).to_contain_text("weaker matches only")
    expect(typed.locator("#list .job")).to_have_count(0)
    expect(typed.locator("#weaker .job").first).to_be_visible()
    # The next search starts folded again.
    typed.get_by_role("button", name="Remove asdf qwer").click()
    add_skills(typed, "welding", "grinding")
    settle(typed)
    expect(typed.locator("#list .job").first).to_be_visible()
    expect(typed.locator("#weaker .job").first).not_to_be_visible()


def test_a_card_says_what_each_part_contributes(typed: Page) -> None:
    add_skills(typed, "K8s", "CI/CD")
    settle(typed)
    best = typed.locator("#list .job").first
    parts = best.get_by_label("The match consists of").locator(".part")
    shares = [int(text.split()[1]) for text in parts.all_inner_texts()]
    (match,) = re.findall(r"Match\s+(\d+) %", best.inner_text())
    assert sum(shares) == pytest.approx(int(match), abs=2)
    widths = best.get_by_role("meter").first.locator("span")
    expect(widths).to_have_count(3)


def test_another_form_of_a_skill_is_said_to_be_the_same(typed: Page) -> None:
    add_skills(typed, "K8s")
    settle(typed)
    tag = typed.locator("#list .tag.matched").first
    expect(tag.locator(".requested")).to_have_text("K8s")
    expect(tag.locator(".same")).to_contain_text("Kubernetes")
    expect(tag.locator(".number")).to_have_count(0)


def test_a_pasted_text_is_searched_for_skills_and_stays_in_the_address(
    typed: Page,
) -> None:
    typed.get_by_role("radio", name="By text").check()
    typed.get_by_label("Résumé").fill(
        "For ten years I have been keeping Docker containers alive.\n"
        "I look after Linux servers and write my scripts in Python."
    )
    settle(typed)
    expect(typed.locator("#list .tag.matched .requested").first).to_be_visible()
    found = typed.locator("#list .job").first.locator(".tag.matched .requested")
    assert {"Docker", "Python"} & set(found.all_inner_texts())
    titles = typed.locator("#list .job h3").all_inner_texts()
    typed.reload()
    settle(typed)
    expect(typed.get_by_role("radio", name="By text")).to_be_checked()
    expect(typed.get_by_label("Résumé")).to_have_value(re.compile("^For ten years"))
    assert typed.locator("#list .job h3").all_inner_texts() == titles
