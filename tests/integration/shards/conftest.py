"""A coordinator and two shards for the module, databases for each test."""

from collections.abc import Iterator

import pytest

from tests.support.doctor import MODEL_DIR
from tests.support.postgres import run
from tests.support.shards import Databases, Fleet, running_fleet


@pytest.fixture(scope="package")
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        yield fleet


@pytest.fixture
def databases(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Databases]:
    """Fresh databases; the coordinator's is DATABASE_URL."""
    with fleet.fresh() as databases:
        monkeypatch.setenv("DATABASE_URL", databases.url)
        monkeypatch.setenv("MODEL_DIR", MODEL_DIR)
        run(databases.url, "SELECT recommender.adopt()")  # a copy of a template
        yield databases
