"""The widget of docs/clients.md, pasted into a page of another origin."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.support.service import ROOT, running_service

PAGE = ROOT / "docs/clients.md"
EXAMPLE = "https://jobs.example.org"


def snippet() -> str:
    """The only block of HTML of the page."""
    (found,) = re.findall(r"```html\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert EXAMPLE in found
    return str(found)


@contextmanager
def running_board(pages: list[bytes]) -> Iterator[str]:
    """A job board that serves the last of these pages; its origin."""

    class Board(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(pages[-1])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Board) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_each_widget_of_a_page_lists_its_users_jobs_as_links(
    browser: Browser, sample_url: str, tmp_path: Path
) -> None:
    pages: list[bytes] = []
    with (
        running_board(pages) as origin,
        running_service(
            sample_url,
            tmp_path / "log",
            CORS_ORIGINS=origin,
            JOB_COLUMNS="title",
            SKILL_CACHE_DIR=str(tmp_path),
        ) as service,
        browser.new_context(viewport={"width": 420, "height": 180}) as context,
    ):
        address = f"http://127.0.0.1:{service.port}"
        widget = snippet().replace(EXAMPLE, address)
        other = widget.replace('data-user="1"', 'data-user="2"')
        assert other != widget
        pages.append((widget + other).encode())
        page = context.new_page()
        page.goto(origin)
        for user_id in (1, 2):
            answer = service.recommend(user_id=user_id, top_n=5).json()
            expected = answer["recommendations"]
            links = page.locator(f"[data-user='{user_id}'] a")
            expect(links).to_have_text([job["columns"]["title"] for job in expected])
            assert links.first.get_attribute("href") == f"/jobs/{expected[0]['job_id']}"
        page.screenshot(path=tmp_path / "widget.png")
