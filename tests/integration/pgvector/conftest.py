"""A database that migrations/pgvector was applied to."""

import pytest
from migrate import migrate

from app.storage.database import Database


@pytest.fixture
def vector_url(database_url: str) -> str:
    list(migrate(database_url, extras=["pgvector"]))
    return database_url


@pytest.fixture
def vector_database(vector_url: str, database: Database) -> Database:
    """The same, as the service opens it."""
    assert vector_url
    return database
