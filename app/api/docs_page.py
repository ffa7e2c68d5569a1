"""The page `/docs`: Swagger UI from the files of a package, read from disk.

The package is never imported. Nothing comes from another server.
"""

import base64
import hashlib
import re
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse
from starlette.exceptions import HTTPException

from app import __version__
from app.api.middleware.auth import OPEN_FOLDER
from app.api.static_files import KEPT, MEDIA_TYPES
from app.errors import ConfigError

SWAGGER_PACKAGE = "fastapi_offline"
SWAGGER_FILES = frozenset({"swagger-ui-bundle.js", "swagger-ui.css"})

# The package's version is pinned, so it changes with ours.
SWAGGER_FOLDER = f"{OPEN_FOLDER}docs-{__version__}/"

INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def build_docs(*, title: str, openapi_url: str) -> APIRouter:
    """The routes of `/docs` and its files. Include it before those of the page.

    Raises ConfigError if the package is not installed.
    """
    folder = _package_folder()
    page = get_swagger_ui_html(
        openapi_url=openapi_url,
        title=title,
        swagger_js_url=f"{SWAGGER_FOLDER}swagger-ui-bundle.js",
        swagger_css_url=f"{SWAGGER_FOLDER}swagger-ui.css",
        swagger_favicon_url="data:,",
    )
    html = bytes(page.body).decode()
    policy = docs_policy(html)
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def docs() -> HTMLResponse:
        return HTMLResponse(html, headers={"Content-Security-Policy": policy})

    @router.get(SWAGGER_FOLDER + "{name}")
    async def file(name: str) -> FileResponse:
        if name not in SWAGGER_FILES:
            raise HTTPException(404)
        path = folder / name
        return FileResponse(
            path, media_type=MEDIA_TYPES[path.suffix], headers={"Cache-Control": KEPT}
        )

    return router


def docs_policy(html: str) -> str:
    """The Content-Security-Policy of `/docs`.

    It allows the page's own files and, by its hash, its inline script. Swagger UI sets
    styles from its script, hence 'unsafe-inline' for styles.
    """
    hashes = " ".join(_hash(script) for script in INLINE_SCRIPT.findall(html))
    return (
        f"default-src 'none'; script-src 'self' {hashes};"
        " style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        " connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def _package_folder() -> Path:
    found = find_spec(SWAGGER_PACKAGE)
    if found is None or found.origin is None:
        raise ConfigError(
            "DOCS needs the package fastapi-offline: install requirements-serve.txt, or"
            " set DOCS=false."
        )
    return Path(found.origin).parent / "static"


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
