"""Fixtures of all tiers. Only tests that need a database start one."""

import os

# Before anything imports NumPy or torch: threads of OpenBLAS and OpenMP that wait for
# one another take the processors from the servers under test.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Nor may what a contributor's `.env` says reach a service under test.
os.environ["ENV_FILE"] = os.devnull


from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from app.storage.connection.database import Database
from tests.support.postgres import (
    Server,
    do_without_fsync,
    fresh_database,
    in_memory,
    running_server,
)
from tests.support.service import Service, running_service

# A loaded machine is no fault: tests assert behaviour, benchmarks measure time.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
# For `make mutants`: the same examples each time, and no smaller ones of a failure.
settings.register_profile(
    "mutants",
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
)

pytest_plugins = [
    "tests.support.alone",
    "tests.support.machine",
    "tests.support.model_files",
]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    with running_server(below=in_memory()) as server:
        do_without_fsync(server.url())
        yield server


@pytest.fixture
def database_url(postgres: Server) -> Iterator[str]:
    """A migrated, empty database for one test."""
    with fresh_database(postgres) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, pool_size=4)
    yield database
    database.close()


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[Service]:
    """A service over that database, with the default settings."""
    with running_service(database_url, tmp_path / "service.log") as running:
        yield running
