"""Screenshots of the page for docs/images: `make screenshots`.

The project's own sample, embedded by the real model, in Debian's Chromium. Install
Debian's `fonts-inter` too, or they are set in whatever sans-serif there is.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect

from app.commands.migrate import MigratedTables, migrate
from tests.browser.site import load_sample
from tests.browser.visit import (
    DESKTOP,
    PHONE,
    Scheme,
    add_skills,
    running_browser,
    settle,
    visiting,
)
from tests.integration.backfill.script import script
from tests.support.embedding import embed
from tests.support.postgres import fresh_database, run, running_server
from tests.support.service import ROOT, Service, running_service
from tests.support.tools import CHROMIUM

IMAGES = ROOT / "docs" / "images"
COLUMNS = "title,company,location"
RESUME = """\
Six years as a site reliability engineer.
I kept K8s clusters and Linux servers alive, wrote Python, and moved our releases to
CI/CD. Many of my nights went into incident response.
Before that I administered databases (Postgres) for a bank.
"""
CARE = ("caring for elderly people", "preventing falls", "giving out medicines")

TALL: ViewportSize = {"width": 1280, "height": 1080}
TALL_ONES = ("filters-light", "similar-light", "similar-dark")

# Copies of the sample that are pending when the screenshot is taken.
COPIES = 40


def start(page: Page) -> None:
    expect(page.get_by_text("Start with what a person can do")).to_be_visible()


def results(page: Page) -> None:
    add_skills(page, *CARE, "comforting the dying")
    settle(page)
    page.wait_for_timeout(500)  # the answer to the last skill


def by_skills(page: Page) -> None:
    add_skills(page, "Python", "SQL", "containers", "test automation", "writing APIs")
    page.get_by_label("Skill by skill").check()
    expect(page.get_by_role("meter", name="Skills matched").first).to_be_visible()
    page.wait_for_timeout(500)


def pasted(page: Page) -> None:
    page.get_by_role("radio", name="By text").check()
    page.get_by_label("Résumé").fill(RESUME)
    settle(page)
    page.wait_for_timeout(500)
    page.mouse.move(0, 0)


def jobs_in_view(page: Page) -> None:
    results(page)
    # Otherwise the page is too short to scroll so far.
    page.locator("#weaker > summary").click()
    page.locator(".results-head").evaluate("(head) => head.scrollIntoView()")


def filtered(page: Page) -> None:
    add_skills(page, "Python", "SQL", "explaining figures", "dashboards")
    page.locator("#filters > summary").click()
    page.get_by_role("combobox", name="Location").fill("Remote, Dublin, Leeds,")
    expect(page.locator("#filter-count")).to_have_text("1 set")
    settle(page)
    page.wait_for_timeout(500)
    page.get_by_role("combobox", name="Location").blur()
    page.mouse.move(0, 0)
    page.evaluate("scrollTo(0, 0)")


def similar(page: Page) -> None:
    results(page)
    page.get_by_role("button", name="Similar jobs").first.click()
    expect(page.locator(".similar-jobs > li")).to_have_count(5)


def health(page: Page) -> None:
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_text("Ready", exact=True)).to_be_visible()
    page.get_by_role("heading", name="Health", exact=True).blur()


def main() -> int:
    program = CHROMIUM.find()
    if program is None:
        print(f"{CHROMIUM.name} is missing: {CHROMIUM.remedy}", file=sys.stderr)
        return 1
    IMAGES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server() as server,
        fresh_database(server) as url,
        running_browser(program) as browser,
    ):
        load_sample(url)
        list(migrate(url, tables=MigratedTables(title_column="title")))
        embed(url)
        with running_service(
            url,
            Path(folder) / "log",
            JOB_COLUMNS=COLUMNS,
            SKILL_CACHE_DIR=f"{folder}/skills",
        ) as service:
            # The first search loads the model, which is not the usual case.
            for rank_by in ("similarity", "skills"):
                service.recommend(skills="python", rank_by=rank_by).raise_for_status()
            take_all(browser, service, url)
    return 0


def take_all(browser: Browser, service: Service, url: str) -> None:
    for name, state in (("jobs", results), ("similar", similar)):
        for scheme in ("light", "dark"):
            take(browser, service, state, f"{name}-{scheme}", scheme=scheme)
    take(browser, service, start, "start-light")
    take(browser, service, pasted, "text-light")
    take(browser, service, by_skills, "skills-dark", scheme="dark")
    take(browser, service, by_skills, "phone-light", is_phone=True)
    take(browser, service, jobs_in_view, "phone-dark", scheme="dark", is_phone=True)
    take(browser, service, filtered, "filters-light")
    run(
        url,
        "INSERT INTO skill_job1 (job_id, skills)"
        " SELECT job_id + 1000 * copy, skills || '; shift ' || copy"
        f" FROM skill_job1, generate_series(1, {COPIES}) AS copy",
    )
    with script(url):
        take(browser, service, moving, "health-light")
        take(browser, service, moving, "health-dark", scheme="dark")


def moving(page: Page) -> None:
    """The Health view during a backfill whose rate is known."""
    health(page)
    expect(page.get_by_text("per second, about")).to_be_visible()
    page.wait_for_timeout(11_000)  # some more points of the chart


def take(
    browser: Browser,
    service: Service,
    state: Callable[[Page], None],
    name: str,
    *,
    scheme: Scheme = "light",
    is_phone: bool = False,
) -> None:
    with visiting(
        browser,
        f"http://127.0.0.1:{service.port}/",
        scheme=scheme,
        viewport=PHONE if is_phone else TALL if name in TALL_ONES else DESKTOP,
        scale=2 if is_phone else 1,
    ) as page:
        state(page)
        page.screenshot(
            path=IMAGES / f"{name}.png", full_page=name.startswith("health")
        )
    print(f"docs/images/{name}.png")


if __name__ == "__main__":
    sys.exit(main())
