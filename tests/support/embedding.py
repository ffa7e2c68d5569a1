"""Embed what waits in a database, by the real model and in this process."""

import pytest

from app.commands.embed import main
from tests.support.doctor import MODEL_DIR


def embed(url: str) -> None:
    """Run the backfill to its end. A failure is the test's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", url)
        patch.setenv("MODEL_DIR", MODEL_DIR)
        assert main([]) == 0
