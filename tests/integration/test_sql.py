"""The SQL files: every query is valid, and every index serves its query."""

from collections.abc import Iterator
from threading import Event

import pytest
from psycopg2.sql import SQL, Composable

from app.backfill.watch import Work
from app.commands.embed_work import build_work
from app.deadline import Deadline
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.sql import FOLDER, NAME, load
from app.storage.vectors import VectorQuery
from tests.integration.models.encoders import PaddedEncoder
from tests.support.postgres import Server, fresh_database, run
from tests.support.rows import VERSION, admit

THEMES = sorted(file.stem for file in FOLDER.glob("*.sql"))
ROWS = 5000


@pytest.mark.parametrize("theme", THEMES)
def test_names_are_unique_and_bodies_are_not_empty(theme: str) -> None:
    names = NAME.findall((FOLDER / f"{theme}.sql").read_text(encoding="utf-8"))
    assert len(names) == len(set(names)) == len(load(theme))
    for query in load(theme).values():
        assert query.string
        assert not query.string.startswith("--")
        assert not query.string.endswith(";")


@pytest.fixture(scope="module")
def url(postgres: Server) -> Iterator[str]:
    """Many finished rows, a few pending, one duplicate, one deleted, one without a
    vector.
    """
    with fresh_database(postgres) as fresh:
        run(fresh, "ALTER TABLE skill_job1 DROP CONSTRAINT skill_job1_pkey")
        run(
            fresh,
            "INSERT INTO skill_job1 (job_id, skills, embedding)"
            " SELECT n, 'x', decode(repeat('01', 1536), 'hex')"
            f" FROM generate_series(1, {ROWS}) AS n;"
            "INSERT INTO users (user_id, skills)"
            f" SELECT n, 'x' FROM generate_series(1, {ROWS}) AS n",
        )
        admit(fresh)
        run(
            fresh,
            "UPDATE recommender.user_state"
            " SET state = 'embedded', skill_ids = '' WHERE user_id > 3;"
            "UPDATE recommender.job_state SET skill_ids = '', has_vector = job_id > 1"
            " WHERE job_id > 3;"
            "INSERT INTO skill_job1 (job_id, skills) VALUES (5, 'y');"
            "DELETE FROM skill_job1 WHERE job_id = 6",
        )
        admit(fresh)
        run(fresh, "VACUUM ANALYZE")
        yield fresh


@pytest.fixture
def catalogue(url: str) -> Iterator[Catalogue]:
    database = Database(url, pool_size=1)
    with database.snapshot(Deadline.after(30)) as transaction:
        yield Catalogue.read(transaction)
    database.close()


def plan(url: str, query: Composable, parameters: object = None) -> str:
    rows = run(url, SQL("EXPLAIN {}").format(query), parameters)
    return "\n".join(line for (line,) in rows)


@pytest.mark.parametrize("entity", ["jobs", "users"])
@pytest.mark.parametrize(
    "name", ["count_unembedded", "count_unsplit", "count_waiting", "any_waiting"]
)
def test_f101_pending_rows_are_found_by_an_index_with_the_predicate_of_the_query(
    url: str, catalogue: Catalogue, entity: str, name: str
) -> None:
    table = catalogue.jobs if entity == "jobs" else catalogue.users
    index = f"{entity.removesuffix('s')}_state_unfinished_idx"
    states = load("states")
    query = table.format(states[name], noted=table.format(states["noted"]))
    assert index in plan(url, query)


def test_the_rows_to_claim_are_found_by_the_same_index(
    url: str, catalogue: Catalogue
) -> None:
    for table, locked in ((catalogue.jobs, "t, s"), (catalogue.users, "s")):
        query = table.format(
            load("claims")["take"],
            after=SQL("true"),
            is_in_use=table.format(load("claims")["is_in_use"]),
            locked=SQL(locked),
            most_stores=SQL("8"),
            tries_last=SQL("interval '1 hour'"),
        )
        given = {"limit": 4, "claim": "0" * 32, "lease_s": 1.0}
        assert "_state_unfinished_idx" in plan(url, query, given)


def test_doubled_ids_and_deleted_jobs_are_found_by_indexes(url: str) -> None:
    assert "job_state_doubled_idx" in plan(url, load("catalogue")["doubled"])
    forget = plan(url, load("states")["forget_deleted"], {"age_s": 9.0})
    assert "job_state_gone_idx" in forget
    changes = "SELECT job_id FROM recommender.job_state WHERE changed >= '99999999'"
    assert "job_state_changed_idx" in plan(url, SQL(changes))


def test_rows_without_a_vector_are_found_and_counted_by_indexes(
    url: str, postgres: Server
) -> None:
    from app.commands.migrate import migrate  # noqa: PLC0415  (changes the database last)

    list(migrate(url, extras=["pgvector"]))
    run(url, "UPDATE recommender.job_state SET has_vector = job_id > 9")
    run(url, "VACUUM ANALYZE recommender.job_state")
    database = Database(url, pool_size=1)
    with database.snapshot(Deadline.after(30)) as transaction:
        rows = VectorQuery.of(Catalogue.read(transaction), VERSION)
    database.close()
    with_vectors = rows.format("count_comparable_vectors")
    counted = rows.format("count_comparable", with_vectors=with_vectors)
    for query in (rows.format("count_vectorless"), counted):
        assert "job_state_vectorless_idx" in plan(url, query)
    is_missing = rows.format("is_vectorless")
    query = rows.format("take_vectorless", after=SQL("true"), is_missing=is_missing)
    assert "job_state_vectorless_idx" in plan(url, query, {"limit": 9})


def buffers(url: str, work: Work, database: Database) -> int:
    """Blocks of tables and indexes that one look reads, those of the system's own
    tables among them.
    """
    query = (
        "SELECT coalesce(sum(heap_blks_read + heap_blks_hit"
        " + coalesce(idx_blks_read, 0) + coalesce(idx_blks_hit, 0)), 0)"
        " FROM pg_statio_all_tables"
    )
    counts = []
    for looks in (0, 10, 30):  # the first plan what they ask
        for _ in range(looks):
            assert not work.any_waiting()
        with database.snapshot(Deadline.after(30)) as transaction:
            transaction.rows(SQL("SELECT pg_stat_force_next_flush()"))
        counts.append(run(url, query)[0][0])
    return int(counts[2] - counts[1]) // 30


def test_f101_an_idle_poll_reads_few_buffers_in_any_table(
    database: Database, database_url: str
) -> None:
    run(
        database_url,
        "INSERT INTO users (user_id, skills)"
        f" SELECT n, NULL FROM generate_series(1, 20 * {ROWS}) AS n;"
        "INSERT INTO skill_job1 (job_id, skills, embedding)"
        " SELECT n, 'x', decode(repeat('01', 1536), 'hex')"
        f" FROM generate_series(1, {ROWS}) AS n;"
        "UPDATE recommender.job_state SET skill_ids = ''",
    )
    run(database_url, "VACUUM ANALYZE")
    work = build_work(
        database,
        PaddedEncoder(),
        batch_size=100,
        slice_rows=100,
        stays_up=True,
        stop=Event(),
    )
    for _ in range(2):
        list(work.run())
    run(database_url, "VACUUM ANALYZE")
    # Six statements, most of it to plan them.
    assert buffers(database_url, work, database) <= 60
