"""Hash the pinned model once in a process, not for each encoder that loads it.

Services and scripts, which are processes of their own, do it each time.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from app.encoder import checkpoint
from tests.support.service import ROOT

FOLDER = ROOT / "models" / "all-MiniLM-L6-v2"


@pytest.fixture(scope="session", autouse=True)
def _hashed_once() -> Iterator[None]:
    """Keep the hashes of the files in FOLDER, which no test writes."""
    sha256 = checkpoint._sha256

    @cache
    def of_version(path: Path, _written_ns: int) -> str:
        return sha256(path)

    def hashed(path: Path) -> str:
        if path.parent != FOLDER or not path.exists():
            return sha256(path)
        return of_version(path, path.stat().st_mtime_ns)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "_sha256", hashed)
        yield
