"""The Health view: figures of /readyz and /metrics, and the coverage bar."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import address
from tests.browser.visit import ask, axe_violations, visiting
from tests.integration.backfill.script import script
from tests.support.postgres import Server, fresh_database, run
from tests.support.rows import add_pending_jobs
from tests.support.service import running_service

# Enough rows that a fast machine takes longer than two polls of the page, 5 s apart.
WAITING = 4000
SEEN_WITHIN_S = 60.0


@pytest.fixture
def waiting_url(postgres: Server) -> Iterator[str]:
    """A database whose jobs have no embedding, one of them no text."""
    with fresh_database(postgres) as url:
        texts: list[str | None] = [
            f"filing records of department {n}, answering letters, keeping a register"
            for n in range(WAITING)
        ]
        add_pending_jobs(url, [*texts, None])
        yield url


def test_the_bar_moves_while_a_backfill_runs(
    browser: Browser, waiting_url: str, tmp_path: Path
) -> None:
    with (
        running_service(waiting_url, tmp_path / "log") as service,
        visiting(browser, address(service) + "#health") as page,
    ):
        bar = page.get_by_role("progressbar", name="Coverage")
        expect(bar).to_have_attribute("aria-valuetext", "0 of 4,000 jobs embedded")
        expect(page.get_by_text("4,000 are waiting for a backfill.")).to_be_visible()
        expect(figure(page, "Blank")).to_have_text("1")
        with script(waiting_url):
            seen = different_values(page, 3)
        assert seen[0] < seen[1] < seen[2] <= WAITING
        expect(page.locator(".coverage-head .hint")).to_contain_text(
            "per second, about"
        )
        width = page.locator(".part.embedded").evaluate("(part) => part.style.width")
        assert float(width.removesuffix("%")) == pytest.approx(100 * seen[2] / WAITING)
        # The figures are as old as their count.
        now = run(
            waiting_url, "SELECT count(*) FROM skill_job1 WHERE embedding IS NOT NULL"
        )
        assert seen[2] <= now[0][0]


def figure(page: Page, name: str) -> Locator:
    return page.locator(".legend > div").filter(has_text=name).locator("dd").first


def different_values(page: Page, wanted: int) -> list[int]:
    """The first different values of the bar."""
    bar = page.get_by_role("progressbar", name="Coverage")
    seen: list[str] = []
    while len(seen) < wanted:
        another = re.compile(rf"^(?!({'|'.join(['', *seen])})$)")
        expect(bar).to_have_attribute(
            "aria-valuenow", another, timeout=SEEN_WITHIN_S * 1000
        )
        seen.append(bar.get_attribute("aria-valuenow") or "")
    return [int(value) for value in seen]


def test_it_shows_memory_latency_and_batches(page: Page) -> None:
    ask(page, "python")
    ask(page, "python", "sql")
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_role("region", name="Coverage")).to_contain_text(
        "162 of 162 jobs can be recommended."
    )
    memory = page.get_by_role("region", name="Memory")
    megabytes = float(memory.locator(".big").inner_text().removesuffix(" MB"))
    assert 20 < megabytes < 200
    expect(memory).to_contain_text("Model in memory")
    batches = page.get_by_role("region", name="Batches")
    assert int(batches.locator(".big").inner_text()) >= 2
    row = page.get_by_role("row").filter(has_text="/api/recommend")
    cells = row.get_by_role("cell").all_inner_texts()
    assert int(cells[0]) >= 2
    assert all(cell.endswith((" ms", " s")) for cell in cells[1:4])


def test_it_stops_asking_when_the_other_view_is_shown(page: Page) -> None:
    page.clock.install()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rsplit("/")[-1]))
    with page.expect_response("**/metrics"):
        page.get_by_role("link", name="Health").click()
    # Shown when all has come; the next look is at most 20 times as long away.
    expect(page.locator("#health-cards")).to_be_visible()
    with page.expect_response("**/metrics"):
        page.clock.fast_forward(600_000)
    page.get_by_role("link", name="Find jobs").click()
    page.clock.fast_forward(600_000)
    page.get_by_role("heading", name="Which jobs fit?").wait_for()
    looked = [name for name in asked if name in ("readyz", "metrics")]
    assert looked == ["readyz", "metrics"] * 2


def test_it_shows_what_users_did_with_what_they_were_shown(
    browser: Browser, sample_url: str, tmp_path: Path
) -> None:
    run(
        sample_url,
        "INSERT INTO recommender.exposure"
        " SELECT '3', now(), '{1,2,3,4}', true, 'rank_by=hybrid|similarity', 'ABBA'",
    )
    run(
        sample_url,
        "INSERT INTO recommender.feedback (user_id, job_id, event)"
        " VALUES ('3', '2', 'opened')",
    )
    with (
        running_service(sample_url, tmp_path / "log", EXPOSURE_DAYS="30") as service,
        visiting(browser, address(service) + "#health") as page,
    ):
        card = page.get_by_role("region", name="What users did")
        expect(card.locator(".big")).to_have_text("25 %")
        expect(card).to_contain_text("of the jobs in the last 1 answer were opened")
        expect(card.get_by_role("listitem")).to_have_text(
            "rank_by, 1 user: hybrid is preferred by 0, similarity by 1; that is 100 %"
            " for similarity (21 % to 100 %), p = 1.000."
        )
        assert axe_violations(page) == []
    run(sample_url, "TRUNCATE recommender.exposure, recommender.feedback")


def test_it_is_silent_about_users_where_nothing_is_stored(page: Page) -> None:
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_role("region", name="Memory")).to_be_visible()
    expect(page.get_by_role("region", name="What users did")).to_be_hidden()
