"""The page at `/` and its files: read from disk for each request, never kept."""

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

# What the index writes where the version belongs in the addresses of its files, and
# where the rankings belong that a visitor may choose from.
URL_PLACEHOLDER = b"/VERSION/"
RANKINGS_PLACEHOLDER = b"<!-- RANKINGS -->"

# The index is asked for again each time, and answered with 304 while it is the same.
# Its files have the version in their address, so those may stay for ever.
CHECKED = "no-cache"
KEPT = "public, max-age=31536000, immutable"


def build_page(folder: Path = WEB_FOLDER) -> APIRouter:
    """`/` and `/static/{version}/{name}`; neither needs a key, see `is_open`."""
    router = APIRouter(include_in_schema=False)
    names = frozenset(
        path.name for path in folder.iterdir() if path.suffix in MEDIA_TYPES
    )
    version = folder_version(folder)

    @router.api_route("/", methods=["GET", "HEAD"])
    async def index(request: Request) -> Response:
        return await _answer(request, folder / INDEX_PAGE, version, CHECKED)

    @router.api_route(OPEN_FOLDER + "{asked}/{name}", methods=["GET", "HEAD"])
    async def file(asked: str, name: str, request: Request) -> Response:
        if name not in names:
            raise HTTPException(404)
        # While a deployment replaces another one, the old one may be asked for a file
        # of the new: it answers with what it has, to be asked for again.
        caching = KEPT if asked == version else CHECKED
        return await _answer(request, folder / name, version, caching)

    return router


def folder_version(folder: Path) -> str:
    """16 hexadecimal digits that change when any file of the page does."""
    digest = hashlib.sha256(ranking_choices().encode())
    for path in sorted(folder.iterdir()):
        if path.suffix in MEDIA_TYPES:
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def ranking_choices() -> str:
    """The HTML of a choice for each ranking of the registry, the first one chosen."""
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
