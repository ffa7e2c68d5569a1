"""Index searches behind PgBouncer in transaction mode."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg2.extensions import parse_dsn

from app.storage.connection.database import Database
from tests.integration.pgvector.searching import nearby, search, through_index
from tests.support.pgbouncer import running_pgbouncer
from tests.support.postgres import run
from tests.support.queries import profile_query


@pytest.fixture
def pooled_url(pgbouncer: Path, filled_url: str) -> Iterator[str]:
    server = parse_dsn(filled_url)
    upstream = Path(server["host"]) / ".s.PGSQL.5432"
    with running_pgbouncer(pgbouncer, upstream) as port:
        yield f"postgresql://postgres:@127.0.0.1:{port}/{server['dbname']}"


def test_f47_searches_leave_nothing_on_the_poolers_connections(
    filled: Database, pooled_url: str
) -> None:
    backend, queries, questions = through_index(), nearby(4)[1:], [profile_query(9)] * 3
    wanted = search(filled, backend, queries, questions)
    pooled = Database(pooled_url, pool_size=4)
    for _ in range(8):  # more than the pooler has connections
        found = search(pooled, backend, queries, questions)
        assert found.ranked == wanted.ranked
    pooled.close()
    assert run(pooled_url, "SHOW enable_seqscan") == [("on",)]
    open_ = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND state LIKE 'idle in %'"
    )
    assert run(pooled_url, open_) == [(0,)]
