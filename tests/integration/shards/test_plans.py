"""What the coordinator sends to its shards: the conditions are among it."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from psycopg2.sql import SQL, Composable, Literal

from app.deadline import Deadline
from app.storage.catalogue import Catalogue
from app.storage.claims import Claims
from app.storage.connection.database import Database
from app.storage.entity import EntityTable
from app.storage.jobs import QUERIES
from tests.integration.shards.answers import embed, insert_rows
from tests.support.postgres import run
from tests.support.rows import VERSION
from tests.support.shards import Databases

REMOTE_SQL = re.compile(r"Remote SQL: (.*)")


@pytest.fixture
def jobs(databases: Databases, tmp_path: Path) -> Iterator[EntityTable]:
    insert_rows(databases.url)
    embed(databases.url)
    assert databases.lay_out(tmp_path) == 0
    with (
        closing(Database(databases.url, pool_size=1)) as database,
        database.snapshot(Deadline.after(30)) as transaction,
    ):
        yield Catalogue.read(transaction).jobs


def sent(url: str, query: Composable, given: object = None) -> list[str]:
    """The statements for the shards."""
    lines = run(url, SQL("EXPLAIN VERBOSE {}").format(query), given)
    return [m[1] for (line,) in lines if (m := REMOTE_SQL.search(line))]


def test_the_conditions_of_the_stream_are_sent(
    databases: Databases, jobs: EntityTable
) -> None:
    assert jobs.is_sharded
    query = jobs.format(QUERIES["stream_embeddings"], version=VERSION)
    statements = sent(databases.url, query)
    assert len(statements) == 4
    for statement in statements:
        assert "embedding_version IS NULL" in statement
        assert "(octet_length(embedding) = 1536)" in statement


def test_a_look_up_by_id_asks_for_these_ids_only(
    databases: Databases, jobs: EntityTable
) -> None:
    query = jobs.format(QUERIES["by_id"], columns=SQL(""), ids=Literal(["3", "4"]))
    statements = sent(databases.url, query)
    assert statements
    assert all("(job_id = ANY (" in statement for statement in statements)


def test_a_store_locks_and_reads_no_row_but_its_own(
    databases: Databases, jobs: EntityTable
) -> None:
    claims = Claims(jobs, VERSION, 30.0)
    given = {
        "ids": [3, 4], "texts": ["a", "b"], "titles": [None, None],
        "embeddings": [b"", b""], "skill_ids": [b"", b""],
        "version": VERSION, "locked": ["3", "4"],
    }  # fmt: skip
    statements = sent(databases.url, claims._store(), given)
    reading = [each for each in statements if each.startswith("SELECT")]
    assert len(reading) >= 4
    assert all("(job_id = ANY (" in statement for statement in reading)
    assert any(statement.endswith("FOR UPDATE") for statement in reading)
