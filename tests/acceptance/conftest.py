"""Fixtures: both search backends, and one service for the tests that change nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres import Server, fresh_database, template_with
from tests.support.service import Service, running_service

# The optional migrations that a backend needs.
EXTRAS = {"stream": (), "pgvector": ("pgvector",)}


@pytest.fixture(scope="module", params=EXTRAS)
def search_backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """The backend of all services and scripts that a test starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEARCH_BACKEND", request.param)
        yield request.param


@pytest.fixture(scope="module")
def template(postgres: Server, search_backend: str) -> str:
    """The template of databases for this backend."""
    return template_with(postgres, EXTRAS[search_backend])


@pytest.fixture
def database_url(postgres: Server, template: str) -> Iterator[str]:
    """A migrated, empty database for one test, once with each backend."""
    with fresh_database(postgres, template=template) as url:
        yield url


@pytest.fixture(scope="module")
def shared_service(
    postgres: Server, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    log: Path = tmp_path_factory.mktemp("service") / "service.log"
    with (
        fresh_database(postgres, template=template) as url,
        running_service(url, log) as running,
    ):
        yield running
