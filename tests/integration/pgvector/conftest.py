"""Databases with migrations/pgvector applied."""

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from psycopg2.extensions import parse_dsn

from app.commands.build_vector_index import main as build_vector_index
from app.storage.connection.database import Database
from tests.integration.pgvector.searching import add_jobs, clustered, fill
from tests.support.postgres import Server, fresh_database, run, template_with

JOBS = 3000
EXTRAS = ("pgvector",)


@pytest.fixture
def vector_url(postgres: Server) -> Iterator[str]:
    with fresh_database(postgres, template=template_with(postgres, EXTRAS)) as url:
        yield url


@pytest.fixture
def vector_database(vector_url: str) -> Iterator[Database]:
    """The database, opened as in the service."""
    with closing(Database(vector_url, pool_size=4)) as database:
        yield database


@pytest.fixture(scope="session")
def filled_template(postgres: Server) -> Iterator[str]:
    """3,000 jobs with vectors and an index.

    Every tenth text occurs fifty times. The column `level` is 0, 1 or 2, and 9 three
    times.
    """
    template = template_with(postgres, EXTRAS)
    with (
        fresh_database(postgres, template=template) as url,
        pytest.MonkeyPatch.context() as patch,
    ):
        embeddings = clustered(JOBS)
        embeddings[::10] = embeddings[np.arange(0, JOBS, 10) % 60]
        run(url, "ALTER TABLE skill_job1 ADD level integer")
        add_jobs(url, embeddings, range(JOBS))
        run(
            url,
            "UPDATE skill_job1 SET level ="
            " CASE WHEN job_id IN (3, 700, 2999) THEN 9 ELSE job_id % 3 END",
        )
        database = Database(url, pool_size=1)
        assert fill(database) == JOBS
        database.close()
        patch.setenv("DATABASE_URL", url)
        assert build_vector_index(["--ef-construction", "100"]) == 0
        yield parse_dsn(url)["dbname"]


@pytest.fixture
def filled_url(postgres: Server, filled_template: str) -> Iterator[str]:
    """A copy of the template for one test."""
    with fresh_database(postgres, template=filled_template) as url:
        yield url


@pytest.fixture
def filled(filled_url: str) -> Iterator[Database]:
    database = Database(filled_url, pool_size=4)
    yield database
    database.close()
