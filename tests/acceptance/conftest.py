"""Fixtures: one service for the tests that change nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres import Server, fresh_database
from tests.support.service import Service, running_service


@pytest.fixture(scope="module")
def shared_service(
    postgres: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    log: Path = tmp_path_factory.mktemp("service") / "service.log"
    with fresh_database(postgres) as url, running_service(url, log) as running:
        yield running
