"""The page at `/` and its files, read from disk at each request to save memory."""

import asyncio
import hashlib
from html import escape
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from app.api.middleware.auth import OPEN_FOLDER
from app.ranking.registry import RANKINGS

WEB_FOLDER = Path(__file__).resolve().parents[1] / "web"
INDEX_PAGE = "index.html"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

# Placeholders in the index page: the version in file URLs, and the ranking choices.
URL_PLACEHOLDER = b"/VERSION/"
RANKINGS_PLACEHOLDER = b"<!-- RANKINGS -->"

# Browsers revalidate the index at each visit (304 if unchanged). File URLs contain the
# version, so browsers may cache files for ever.
CHECKED = "no-cache"
KEPT = "public, max-age=31536000, immutable"


def build_page(folder: Path = WEB_FOLDER) -> APIRouter:
    """The routes `/` and `/static/{version}/{name}`, which need no API key."""
    router = APIRouter(include_in_schema=False)
    names = frozenset(
        path.name for path in folder.iterdir() if path.suffix in MEDIA_TYPES
    )
    version = folder_version(folder)

    @router.api_route("/", methods=["GET", "HEAD"])
    async def index(request: Request) -> Response:
        return await _answer(request, folder / INDEX_PAGE, version, CHECKED)

    @router.api_route(OPEN_FOLDER + "{url_version}/{name}", methods=["GET", "HEAD"])
    async def file(url_version: str, name: str, request: Request) -> Response:
        if name not in names:
            raise HTTPException(404)
        # During a deployment the old process may get requests for files of the new
        # version: it sends its own file, which browsers must not cache.
        caching = KEPT if url_version == version else CHECKED
        return await _answer(request, folder / name, version, caching)

    return router


def folder_version(folder: Path) -> str:
    """A hash of the page's files, in 16 hexadecimal digits."""
    digest = hashlib.sha256(ranking_choices().encode())
    for path in sorted(folder.iterdir()):
        if path.suffix in MEDIA_TYPES:
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def ranking_choices() -> str:
    """The HTML of a radio button per ranking; the first one is checked."""
    return "\n            ".join(
        f'<label><input type="radio" name="rank" value="{escape(entry.name)}"'
        f"{'' if place else ' checked'}><span><b>{escape(entry.title)}</b>"
        f" <small>{escape(entry.hint)}</small></span></label>"
        for place, entry in enumerate(RANKINGS.values())
    )


async def _answer(request: Request, path: Path, version: str, caching: str) -> Response:
    headers = {"ETag": f'"{version}"', "Cache-Control": caching}
    if version in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    content = await asyncio.to_thread(path.read_bytes)
    if path.name == INDEX_PAGE:
        content = content.replace(URL_PLACEHOLDER, f"/{version}/".encode())
        content = content.replace(RANKINGS_PLACEHOLDER, ranking_choices().encode())
    return Response(content, headers=headers, media_type=MEDIA_TYPES[path.suffix])
