"""The interactive documentation, with a content security policy that fits it."""

import base64
import hashlib
import re

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

CDN = "https://cdn.jsdelivr.net"
INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def build_docs(*, title: str, openapi_url: str) -> APIRouter:
    """`/docs`, which loads Swagger UI from its usual CDN."""
    page = get_swagger_ui_html(openapi_url=openapi_url, title=title)
    html = bytes(page.body).decode()
    policy = docs_policy(html)
    router = APIRouter()

    @router.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(html, headers={"Content-Security-Policy": policy})

    return router


def docs_policy(html: str) -> str:
    """Allows the CDN and exactly the inline scripts of this page, by their hashes.

    Swagger UI sets styles from its script, hence 'unsafe-inline' for those.
    """
    hashes = " ".join(_hash(script) for script in INLINE_SCRIPT.findall(html))
    return (
        f"default-src 'none'; script-src {CDN} {hashes};"
        f" style-src {CDN} 'unsafe-inline'; img-src https://fastapi.tiangolo.com data:;"
        " connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
