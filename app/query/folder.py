"""Paths of settings."""

from pathlib import Path


def with_home(path: Path) -> Path:
    """Expand `~`, which only a shell expands, and not in `.env` or in quotes.

    Raises ValueError for the home of an unknown user.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError(
            "it begins with the home of an unknown user; write the whole path"
        ) from None
