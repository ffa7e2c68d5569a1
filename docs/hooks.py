"""Hooks of mkdocs: links from a page to files of the repository outside of `docs/`."""

import os
import re
from typing import Any

LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((\.\./[^)\s]+)\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Point them at the repository, or make them plain text if it has no address."""
    folder = os.path.dirname(page.file.src_uri)  # noqa: PTH120  (an address, no path)

    def moved(found: re.Match[str]) -> str:
        text, target = found.groups()
        path = os.path.normpath(os.path.join("docs", folder, target))  # noqa: PTH118
        if path.startswith("docs/"):
            return found[0]
        if not config.repo_url:
            is_name = path.endswith(text.strip("`"))
            return f"`{path}`" if is_name else f"{text} (`{path}`)"
        return f"[{text}]({config.repo_url.rstrip('/')}/blob/main/{path})"

    return LINK.sub(moved, markdown)
