"""Fixtures: one browser, and one service with the sample data."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.site import (
    add_columns_of_each_type,
    add_hostile_jobs,
    load_sample,
)
from tests.browser.visit import running_browser, visiting
from tests.support.alone import made_once
from tests.support.embedding import embed
from tests.support.postgres import Server, fresh_database
from tests.support.replicas import Programs
from tests.support.service import Service, running_service


# The scope matters: Playwright's event loop excludes any other in this thread.
@pytest.fixture(scope="package")
def browser(chromium: Path) -> Iterator[Browser]:
    with running_browser(chromium) as browser:
        yield browser


@pytest.fixture(scope="package")
def sample_url(
    request: pytest.FixtureRequest,
    postgres: Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """A database with the sample, two hostile jobs, and a column of each type.

    One worker makes it, and each restores it.
    """
    programs = Programs(postgres.handle.bin_path, None)

    def make(dump: Path) -> None:
        with fresh_database(postgres) as url:
            load_sample(url)
            add_columns_of_each_type(url)
            add_hostile_jobs(url)
            embed(url)
            programs.run("pg_dump", "-Fc", "-f", str(dump), url)

    dump = made_once(request.config, tmp_path_factory, "sample", make)
    with fresh_database(postgres, template="template0") as url:
        programs.run("pg_restore", "--exit-on-error", "-d", url, str(dump))
        yield url


@pytest.fixture(scope="package")
def site(sample_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the page."""
    folder = tmp_path_factory.mktemp("site")
    with running_service(
        sample_url,
        folder / "log",
        JOB_COLUMNS="title,company,location,salary,remote,posted,rating",
        SKILL_CACHE_DIR=str(folder / "skills"),
        RANK_BY="similarity",
    ) as service:
        yield address(service)


def address(service: Service) -> str:
    return f"http://127.0.0.1:{service.port}/"


@pytest.fixture(scope="package")
def typed_site(
    sample_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a service without RANK_BY."""
    folder = tmp_path_factory.mktemp("typed")
    with running_service(
        sample_url,
        folder / "log",
        JOB_COLUMNS="title,company,location",
        SKILL_CACHE_DIR=str(folder / "skills"),
    ) as service:
        yield address(service)


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    with visiting(browser, site) as page:
        yield page
