"""Searching through the index on a streaming replica."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from app.commands.build_vector_index import main as build_vector_index
from app.commands.migrate import migrate
from app.storage.connection.database import Database
from tests.integration.pgvector.searching import (
    STREAM,
    add_jobs,
    clustered,
    fill,
    nearby,
    search,
    through_index,
)
from tests.support.postgres import Server, run
from tests.support.queries import profile_query
from tests.support.replicas import Programs, Replicated, running_replicas

JOBS = 1000
SCANS = (
    "SELECT idx_scan FROM pg_stat_user_indexes"
    " WHERE indexrelname = 'job_vector_hnsw_idx'"
)


@pytest.fixture
def replicated(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Replicated]:
    """Jobs with vectors and an index, inserted through the string with both hosts."""
    with running_replicas(Programs.of(postgres)) as both:
        list(migrate(both.primary.url, extras=["pgvector"]))
        add_jobs(both.primary.url, clustered(JOBS), range(JOBS))
        with closing(Database(both.primary.url, pool_size=1)) as database:
            assert fill(database) == JOBS
        monkeypatch.setenv("DATABASE_URL", both.url)
        assert build_vector_index([]) == 0
        both.arrive()
        yield both


def test_a_replica_is_searched_through_its_copy_of_the_index(
    replicated: Replicated,
) -> None:
    queries, questions = nearby(5), [profile_query(5)] * 5
    with closing(Database(replicated.url, pool_size=1)) as database:
        found = search(database, through_index(), queries, questions)
        assert found.ranked == search(database, STREAM, queries, questions).ranked
    ((scans,),) = run(replicated.replica.url, SCANS)
    assert scans >= len(questions)
    ((elsewhere,),) = run(replicated.primary.url, SCANS)
    assert not elsewhere


def test_it_finds_rows_embedded_later_on_the_primary(
    replicated: Replicated,
) -> None:
    query = nearby(1)
    add_jobs(replicated.primary.url, query, [9000])
    with closing(Database(replicated.primary.url, pool_size=1)) as database:
        assert fill(database) == 1
    replicated.arrive()
    with closing(Database(replicated.url, pool_size=1)) as database:
        (found,) = search(database, through_index(), query, [profile_query(1)]).ranked
    assert [job.id for job in found] == [9000]
