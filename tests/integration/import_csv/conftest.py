"""Fixtures: a database, and a file to import."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.csv"
