"""Open pages in Chromium, and fail for unexpected errors."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Literal

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Page,
    Request,
    ViewportSize,
    expect,
    sync_playwright,
)

Scheme = Literal["light", "dark"]
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 360, "height": 740}
WITHIN_MS = 15_000
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()

expect.set_options(timeout=WITHIN_MS)


@contextmanager
def running_browser(program: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium's sandbox fails as root and in most containers.
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@contextmanager
def visiting(
    browser: Browser,
    url: str,
    *,
    scheme: Scheme = "light",
    viewport: ViewportSize = DESKTOP,
    statuses: Sequence[int] = (),
    allowed: Sequence[str] = (),
    errors: Sequence[str] = (),
    scale: float = 1,
) -> Iterator[Page]:
    """A page in a new browser context at `url`.

    Fails at the end for any console error, any exception, and any request to another
    origin. `statuses`: expected error responses, which the console reports; `allowed`:
    parts of other expected messages; `errors`: parts of expected exceptions.
    """
    origin = "/".join(url.split("/")[:3]) + "/"
    problems: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        expected = [*(f"a status of {status} " for status in statuses), *allowed]
        if message.type in ("error", "warning") and not any(
            part in message.text for part in expected
        ):
            problems.append(f"console: {message.text} {message.location}")

    def on_error(error: Error) -> None:
        if not any(part in str(error) for part in errors):
            problems.append(f"exception: {error}")

    def on_request(request: Request) -> None:
        if not request.url.startswith((origin, "data:")):
            problems.append(f"a request to {request.url}")

    with browser.new_context(
        color_scheme=scheme,
        viewport=viewport,
        reduced_motion="reduce",
        device_scale_factor=scale,
    ) as context:
        page = context.new_page()
        page.set_default_timeout(WITHIN_MS)
        page.on("console", on_console)
        page.on("pageerror", on_error)
        page.on("request", on_request)
        page.goto(url)
        yield page
    assert not problems, problems


def add_skills(page: Page, *skills: str) -> None:
    """Type each skill and press Enter."""
    for skill in skills:
        page.get_by_role("textbox", name="Skills").fill(skill)
        page.keyboard.press("Enter")


def ask(page: Page, *skills: str, typed: str | None = None) -> None:
    """Type skills and wait for the results of all.

    `typed`: the last skill, if the others are already chips.
    """
    with page.expect_response(lambda r: is_answer_for(r.request, skills)):
        add_skills(page, *([typed] if typed else skills))
    settle(page)


def is_answer_for(request: Request, skills: Sequence[str]) -> bool:
    body = request.post_data_json if request.url.endswith("/api/recommend") else None
    return body is not None and body.get("skills") == ", ".join(skills)


def settle(page: Page) -> None:
    """Wait until the list shows results."""
    expect(page.locator("#summary")).to_have_text(re.compile("The best|No job found"))
    expect(page.locator("#working")).to_be_hidden()


def axe_violations(page: Page) -> list[str]:
    """The violations that axe reports: the rule and the elements."""
    page.evaluate(AXE)
    found: list[str] = page.evaluate(
        """async () => {
            const { violations } = await axe.run({ resultTypes: ["violations"] });
            return violations.map(
                ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((n) => n.html)}`,
            );
        }"""
    )
    return found


def overflows(page: Page) -> bool:
    """Whether the page can be scrolled sideways."""
    width = "document.documentElement"
    return bool(page.evaluate(f"{width}.scrollWidth > {width}.clientWidth"))
