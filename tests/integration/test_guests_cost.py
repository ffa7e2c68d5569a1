"""What a team's own statements and tables pay for us, in rows, pages and log records.

Milliseconds are measured by `make bench`; what is counted here does not depend on load.
"""

import json
from collections.abc import Iterator

import pytest

from app.commands.migrate import migrate
from tests.support.postgres import Server, copied, fresh_database, name_of, run
from tests.support.rows import admit

ROWS = 3000
MAX_OVERHEAD = 1.1
# As a team has it: the guide's columns, and others that change more often.
TABLES = (
    "CREATE TABLE skill_job1 (job_id bigint PRIMARY KEY, skills text, views int"
    " DEFAULT 0, note text) WITH (fillfactor = 50);"
    "CREATE TABLE users (user_id bigint PRIMARY KEY, skills text, views int DEFAULT 0,"
    " note text) WITH (fillfactor = 50);"
)
PARTITIONED = (
    "CREATE TABLE {0} ({1} bigint PRIMARY KEY, skills text, views int DEFAULT 0,"
    " note text) PARTITION BY HASH ({1}); CREATE TABLE {0}_0 PARTITION OF {0}"
    " FOR VALUES WITH (modulus 1, remainder 0) WITH (fillfactor = 50);"
)
LAYOUTS = {
    "plain": TABLES,
    "partitioned": PARTITIONED.format("skill_job1", "job_id")
    + PARTITIONED.format("users", "user_id"),
}
KEYS = [("users", "user_id"), ("skill_job1", "job_id")]
FILL = (
    "INSERT INTO {table} ({key}, skills) SELECT n, 'python, sql'"
    f" FROM generate_series(1, {ROWS}) AS n"
)
# Statements that change no text and no embedding; an ORM writes back all columns.
UNRELATED = {
    "another column": "UPDATE {table} SET views = views + 1",
    "the same text again": "UPDATE {table} SET skills = skills, views = views + 1",
    "all columns, as an ORM": "UPDATE {table} SET ({key}, skills, note, views) ="
    " ROW({key}, skills, note, views + 1)",
    "no change at all": "UPDATE {table} SET note = note",
}


@pytest.fixture(scope="module", params=LAYOUTS)
def filled(
    request: pytest.FixtureRequest, postgres: Server
) -> Iterator[tuple[str, str]]:
    """What each test gets copies of."""
    with (
        fresh_database(postgres, template="template1") as without,
        fresh_database(postgres, template="template1") as with_us,
    ):
        for url in (without, with_us):
            run(url, LAYOUTS[request.param])
            for table, key in KEYS:
                run(url, FILL.format(table=table, key=key))
        list(migrate(with_us))
        for url in (without, with_us):
            run(url, "VACUUM (FULL, ANALYZE) users")
            run(url, "VACUUM (FULL, ANALYZE) skill_job1")
            run(url, "CHECKPOINT")
        yield without, with_us


@pytest.fixture
def urls(postgres: Server, filled: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """A database without us, and the same with us; both with the same rows."""
    without, with_us = filled
    with (
        fresh_database(postgres, template=name_of(without)) as copy,
        copied(postgres, with_us) as copy_with_us,
    ):
        yield copy, copy_with_us


def cost(url: str, statement: str) -> tuple[int, int, int]:
    """Pages touched, pages changed, and records of the log, triggers and all."""
    options = "ANALYZE, BUFFERS, WAL, TIMING OFF, FORMAT JSON"
    ((explained,),) = run(url, f"EXPLAIN ({options}) {statement}")
    plan = (explained if isinstance(explained, list) else json.loads(explained))[0]
    top = plan["Plan"]
    pages = top["Shared Hit Blocks"] + top["Shared Read Blocks"]
    return pages, top["Shared Dirtied Blocks"], top["WAL Records"]


def ours(url: str) -> object:
    """Every version of every row of ours; a row that is written gets another one."""
    return run(
        url,
        "SELECT 'job', ctid::text, xmin::text FROM recommender.job_state UNION ALL"
        " SELECT 'user', ctid::text, xmin::text FROM recommender.user_state ORDER BY 1",
    )


@pytest.mark.parametrize(("table", "key"), KEYS)
@pytest.mark.parametrize("case", UNRELATED)
def test_f94_a_statement_that_changes_no_text_costs_the_same_and_writes_no_row_of_ours(
    urls: tuple[str, str], case: str, table: str, key: str
) -> None:
    statement = UNRELATED[case].format(table=table, key=key)
    before = ours(urls[1])
    (pages, changed, records), (pages_with_us, changed_with_us, records_with_us) = (
        cost(url, statement) for url in urls
    )
    # Postgres looks at the row once more for any trigger that there is.
    assert pages_with_us <= MAX_OVERHEAD * (pages + ROWS)
    # A checkpoint may come between the two.
    assert changed_with_us <= MAX_OVERHEAD * changed + 5
    assert records_with_us <= MAX_OVERHEAD * records
    assert ours(urls[1]) == before
    # They stay updates that touch no index.
    heap = (
        "SELECT sum(n_tup_upd)::int, sum(n_tup_hot_upd)::int FROM pg_stat_user_tables"
        f" WHERE relname IN ('{table}', '{table}_0')"
    )
    run(urls[1], "SELECT pg_stat_force_next_flush()")
    ((updated, hot),) = run(urls[1], heap)
    assert hot >= 0.9 * updated


@pytest.mark.parametrize(("table", "key"), KEYS)
def test_f94_the_teams_tables_are_as_large_as_without_us(
    urls: tuple[str, str], table: str, key: str
) -> None:
    size = (
        "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class"
        f" WHERE relname IN ('{table}', '{table}_0') AND relkind IN ('r', 'p')"
    )
    (without,), (with_us,) = (run(url, size)[0] for url in urls)
    assert with_us <= MAX_OVERHEAD * without
    scan = f"SELECT count(*) FROM {table} WHERE views > 5"
    pages, pages_with_us = (cost(url, scan)[0] for url in urls)
    assert pages_with_us <= MAX_OVERHEAD * pages
    # Not for an index of ours either, nor for a policy or an option that nobody set.
    facts = (
        "SELECT relnatts, relrowsecurity, reloptions, (SELECT count(*) FROM pg_index"
        f" WHERE indrelid = c.oid) FROM pg_class AS c WHERE relname = '{table}'"
    )
    (columns, *rest), (columns_with_us, *rest_with_us) = (
        run(url, facts)[0] for url in urls
    )
    assert rest_with_us == rest
    assert columns_with_us - columns == (2 if table == "skill_job1" else 0)


@pytest.mark.parametrize(("table", "key"), KEYS)
def test_f94_reading_asks_nothing_of_us(
    urls: tuple[str, str], table: str, key: str
) -> None:
    for query in (
        f"SELECT {key}, skills, views FROM {table} WHERE {key} = 7",
        f"SELECT {key} FROM {table} ORDER BY {key} LIMIT 10",
        f"SELECT count(*) FROM {table} WHERE skills LIKE '%sql%'",
    ):
        plans = [run(url, f"EXPLAIN (COSTS OFF) {query}") for url in urls]
        assert plans[0] == plans[1]


def test_f94_a_user_without_a_text_has_no_row_of_ours(urls: tuple[str, str]) -> None:
    run(
        urls[1],
        "INSERT INTO users (user_id, skills)"
        " VALUES (90001, NULL), (90002, ''), (90003, ' ')",
    )
    run(urls[1], "UPDATE users SET skills = NULL WHERE user_id < 10")
    admit(urls[1])
    query = "SELECT count(*) FROM recommender.user_state"
    assert run(urls[1], query) == [(ROWS - 9,)]
