"""The page's files over HTTP: content, caching, errors."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.api.errors import add_error_handlers
from app.api.static_files import (
    WEB_FOLDER,
    build_page,
    folder_version,
    ranking_choices,
)
from app.ranking.registry import RANKINGS

INDEX = (WEB_FOLDER / "index.html").read_text()
SCRIPTS = sorted(path.name for path in WEB_FOLDER.glob("*.js"))


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI()
    add_error_handlers(app)
    app.include_router(build_page())
    with TestClient(app) as client:
        yield client


def test_the_page_is_no_part_of_the_openapi_document() -> None:
    app = FastAPI()
    app.include_router(build_page())
    assert app.openapi()["paths"] == {}


def test_the_index_names_the_version_of_its_files(client: TestClient) -> None:
    response = client.get("/")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "VERSION" not in response.text
    addresses = re.findall(r'(?:src|href)="(static/[^"]+)"', response.text)
    assert len(addresses) > len(SCRIPTS)
    for address in addresses:
        answer = client.get(f"/{address}")
        assert answer.status_code == 200, address
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_a_visitor_may_choose_every_ranking_of_the_registry(client: TestClient) -> None:
    offered = re.findall(
        r'<input type="radio" name="rank" value="(\w+)"( checked)?>',
        client.get("/").text,
    )
    assert [name for name, _ in offered] == list(RANKINGS)
    between = re.findall(r"</label>([^<]*)<label><input", ranking_choices())
    assert [text.strip() for text in between] == [""] * (len(RANKINGS) - 1)
    assert [bool(checked) for _, checked in offered] == [True] + [False] * (
        len(RANKINGS) - 1
    )


def test_an_unchanged_index_page_is_a_304(
    client: TestClient,
) -> None:
    first = client.get("/")
    assert first.headers["Cache-Control"] == "no-cache"
    again = client.get("/", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    for name in ("ETag", "Cache-Control"):
        assert again.headers[name] == first.headers[name]
    old = client.get("/", headers={"If-None-Match": '"another"'})
    assert (old.status_code, old.content) == (200, first.content)


def test_a_file_of_another_version_is_not_cached(client: TestClient) -> None:
    response = client.get("/static/another/main.js")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-cache"


def test_head_is_answered_without_a_body(client: TestClient) -> None:
    assert client.head("/").status_code == 200
    assert client.head("/static/x/base.css").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/x/none.js",
        "/static/x/../main.py",
        "/static/x/%2e%2e%2fmain.py",
        "/static/x/..%2f..%2fconfig.py",
        "/static/main.js",
        "/static/x/y/main.js",
        "/static/x/",
    ],
)
def test_only_the_pages_files_are_served(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert response.json()["detail"].startswith("Not Found: ")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("main.js", "text/javascript; charset=utf-8"),
        ("base.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_a_file_has_its_type(client: TestClient, name: str, kind: str) -> None:
    # With `nosniff`, browsers do not run a script of another type.
    assert client.get(f"/static/x/{name}").headers["Content-Type"] == kind


def test_the_version_is_that_of_the_contents(tmp_path: Path) -> None:
    (tmp_path / "main.js").write_text("1")
    first = folder_version(tmp_path)
    assert re.fullmatch(r"[0-9a-f]{16}", first)
    (tmp_path / "notes.txt").write_text("not served")
    assert folder_version(tmp_path) == first
    (tmp_path / "main.js").write_text("2")
    assert folder_version(tmp_path) != first


def test_the_index_preloads_every_module_that_main_leads_to() -> None:
    preloaded = re.findall(r'rel="modulepreload" href="static/VERSION/([^"]+)"', INDEX)
    # watch.js is not a module: it reports modules that fail to load.
    assert sorted([*preloaded, "main.js", "watch.js"]) == SCRIPTS


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", INDEX)
    assert not re.search(r"<script(?![^>]*\ssrc=)", INDEX)
    for path in WEB_FOLDER.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|url\(|@import", text), path.name


def test_no_module_reads_text_as_html_or_runs_it() -> None:
    for name in SCRIPTS:
        text = (WEB_FOLDER / name).read_text()
        sinks = (
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\("
        )
        assert not re.search(sinks, text), name
        assert "localStorage" not in text, name
        assert "cookie" not in text, name
