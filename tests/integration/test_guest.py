"""Sharing a team's database: locks, settings, copies, triggers that interfere."""

import io
import threading
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2.sql import SQL

from app.backfill import Backfill, Progress
from app.backfill.counting import used_skills
from app.backfill.vocabulary import VocabularyKeeper
from app.commands import migrate
from app.deadline import Deadline
from app.errors import DatabaseUnavailableError
from app.storage import skills as stored_skills
from app.storage.claims import MOST_STORES
from app.storage.connection.database import Database
from app.storage.connection.transaction import Sink, Transaction
from app.storage.skills import vocabulary_state
from tests.support.encoders import HashEncoder
from tests.support.postgres import Server, fresh_database, run
from tests.support.rows import add_pending_jobs, add_user, admit
from tests.support.skills import all_work, fill, skills_of, total_of


@pytest.fixture
def empty_url(postgres: Server) -> Iterator[str]:
    with fresh_database(postgres, template="template1") as url:
        yield url


# --- migrations -----------------------------------------------------------------


def test_f96_the_holder_of_a_lock_is_named_and_nobody_queues_behind_it(
    empty_url: str,
) -> None:
    run(
        empty_url,
        "CREATE TABLE skill_job1 (job_id int PRIMARY KEY, skills text);"
        " INSERT INTO skill_job1 VALUES (1, 'sql')",
    )
    said: list[str] = []
    seen = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        seen.set()

    with closing(psycopg2.connect(empty_url, application_name="psql")) as idle:
        idle.cursor().execute("SELECT * FROM skill_job1")
        migration = threading.Thread(
            target=lambda: list(migrate.migrate(empty_url, say=say))
        )
        migration.start()
        assert seen.wait(60)
        # The migration stepped aside: a reader that comes now need not wait for long.
        run(empty_url, "SET lock_timeout = '10s'; SELECT * FROM skill_job1")
        idle.rollback()
        migration.join(60)
        assert not migration.is_alive()
        pid = idle.info.backend_pid
    assert said[0].startswith(
        f"skill_job1 is locked by process {pid} (psql as postgres, idle in transaction,"
    )
    assert f"SELECT pg_terminate_backend({pid}) would end it." in said[0]
    assert list(migrate.migrate(empty_url)) == []


@pytest.mark.parametrize("statement", ["embedding bytea", "embedding_version text"])
def test_f96_a_failure_leaves_no_half_of_a_file(empty_url: str, statement: str) -> None:
    run(empty_url, f"CREATE TABLE skill_job1 (job_id int, skills text, {statement})")
    # What stops it half-way: a trigger of ours that is there, but is not ours.
    run(
        empty_url,
        "CREATE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN NULL; END $$; CREATE CONSTRAINT TRIGGER recommender_written"
        " AFTER INSERT ON skill_job1 FOR EACH ROW EXECUTE FUNCTION theirs()",
    )
    with pytest.raises(psycopg2.Error):
        list(migrate.migrate(empty_url))
    query = "SELECT to_regclass('recommender.job_state')"
    assert run(empty_url, query) == [(None,)]
    run(empty_url, "DROP TRIGGER recommender_written ON skill_job1")
    list(migrate.migrate(empty_url))
    assert run(empty_url, query) != [(None,)]


def test_f96_an_index_that_was_broken_off_is_built_anew(empty_url: str) -> None:
    run(empty_url, "CREATE TABLE skill_job1 (job_id int, skills text)")
    run(empty_url, "CREATE INDEX recommender_job_id ON skill_job1 (job_id)")
    run(
        empty_url,
        "UPDATE pg_index SET indisvalid = false"
        " WHERE indexrelid = 'recommender_job_id'::regclass",
    )
    list(migrate.migrate(empty_url))
    query = (
        "SELECT indisvalid FROM pg_index"
        " WHERE indexrelid = 'recommender_job_id'::regclass"
    )
    assert run(empty_url, query) == [(True,)]


def test_a_dropped_trigger_is_restored_and_missed_changes_are_found(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["a", "b", "c", "d"])
    for user, text in enumerate("xyz", start=1):
        add_user(database_url, user, text)
    fill(database, HashEncoder())
    run(database_url, "DROP TRIGGER recommender_written ON skill_job1")
    run(database_url, "ALTER TABLE users DISABLE TRIGGER ALL")
    run(
        database_url,
        "DELETE FROM skill_job1 WHERE job_id = 1;"
        " UPDATE skill_job1 SET embedding = NULL WHERE job_id = 2;"
        " UPDATE skill_job1 SET skills = 'edited' WHERE job_id = 3;"
        " INSERT INTO skill_job1 (job_id, skills) VALUES (9, 'new');"
        " INSERT INTO users (user_id, skills) VALUES (4, 'new');"
        " UPDATE users SET skills = 'edited' WHERE user_id = 2;"
        " DELETE FROM users WHERE user_id = 1",
    )
    assert list(migrate.migrate(database_url)) == []
    # Nobody is recommended for a text that is not there any more.
    query = "SELECT job_id FROM skill_job1 WHERE embedding IS NULL ORDER BY 1"
    assert run(database_url, query) == [(2,), (3,), (9,)]
    assert skills_of(database_url, "user_state", "user_id") == [None, ["z"], None]
    assert total_of(all_work(database, HashEncoder()).run()) == Progress(embedded=5)
    assert skills_of(database_url) == [["b"], ["edited"], ["d"], ["new"]]
    assert skills_of(database_url, "user_state", "user_id") == [
        ["edited"],
        ["z"],
        ["new"],
    ]


def test_f95_a_comparison_of_all_rows_waits_for_no_editor(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["a", "b"])
    fill(database, HashEncoder())
    run(
        database_url,
        "ALTER TABLE skill_job1 DISABLE TRIGGER recommender_written;"
        " UPDATE skill_job1 SET skills = skills || '2';"
        " ALTER TABLE skill_job1 ENABLE ALWAYS TRIGGER recommender_written",
    )
    with closing(psycopg2.connect(database_url)) as editor, editor.cursor() as cursor:
        cursor.execute("SELECT FROM skill_job1 WHERE job_id = 2 FOR UPDATE")
        compare = "SET lock_timeout = '1s'; SELECT recommender.reconcile('jobs')"
        run(database_url, compare)
        run(database_url, compare)  # what waits now is not taken for embedded
        editor.rollback()
    assert total_of(all_work(database, HashEncoder()).run()) == Progress(embedded=2)
    assert skills_of(database_url) == [["a2"], ["b2"]]
    version = "SELECT count(*) FROM skill_job1 WHERE embedding_version IS NOT NULL"
    assert run(database_url, version) == [(2,)]


def test_a_comparison_of_all_rows_leaves_what_is_right(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["a", " ", None, "c"])
    add_user(database_url, 1, "x")
    fill(database, HashEncoder())
    run(database_url, "UPDATE skill_job1 SET skills = 'd' WHERE job_id = 4")
    ours = (
        "SELECT xmin::text, ctid::text FROM recommender.job_state UNION ALL"
        " SELECT xmin::text, ctid::text FROM recommender.user_state UNION ALL"
        " SELECT xmin::text, ctid::text FROM skill_job1 ORDER BY 1, 2"
    )
    before = run(database_url, ours)
    for entity in ("jobs", "users"):
        run(database_url, "SELECT recommender.reconcile(%s)", [entity])
    assert run(database_url, ours) == before


# --- settings of the database -----------------------------------------------------


@pytest.mark.parametrize(
    "setting",
    [
        "default_transaction_isolation = 'serializable'",
        "default_transaction_isolation = 'repeatable read'",
        "default_transaction_read_only = on",
        "row_security = off",
        "TimeZone = 'Asia/Tokyo'",
        "search_path = pg_catalog",
        "bytea_output = 'escape'",
        "DateStyle = 'SQL, DMY'",
        "standard_conforming_strings = off",
        "default_toast_compression = 'pglz'",
    ],
)
def test_f100_defaults_of_the_database_change_nothing(
    database_url: str, setting: str
) -> None:
    add_pending_jobs(database_url, ["sql, go", "rust"])
    name = run(database_url, "SELECT current_database()")[0][0]
    run(database_url, f"ALTER DATABASE {name} SET {setting}")
    database = Database(database_url, pool_size=2)
    fill(database, HashEncoder())
    assert VocabularyKeeper(database, HashEncoder()).remove_unused() == 0
    database.close()
    run(database_url, f"BEGIN READ WRITE; ALTER DATABASE {name} RESET ALL; COMMIT")
    assert skills_of(database_url) == [["sql", "go"], ["rust"]]


def test_f100_isolation_row_security_jit_and_zone_are_ours(database: Database) -> None:
    names = ("transaction_isolation", "row_security", "jit", "TimeZone")
    wanted = {
        database.snapshot: ["repeatable read", "off", "off", "UTC"],
        database.write: ["read committed", "off", "off", "UTC"],
    }
    for begin, values in wanted.items():
        with begin(Deadline.after(30)) as transaction:
            found = [transaction.rows(SQL(f"SHOW {name}"))[0][0] for name in names]
        assert found == values


# --- copies -------------------------------------------------------------------------


def test_f91_a_copy_is_noticed_and_has_a_vocabulary_of_its_own(
    postgres: Server, database_url: str
) -> None:
    database = Database(database_url, pool_size=1)
    add_pending_jobs(database_url, ["sql, go"])
    fill(database, HashEncoder())
    with database.snapshot(Deadline.after(30)) as transaction:
        original = vocabulary_state(transaction)
    name = run(database_url, "SELECT current_database()")[0][0]
    database.close()
    with fresh_database(postgres, template=name) as url:
        copy = Database(url, pool_size=1)
        with copy.snapshot(Deadline.after(30)) as transaction:
            # Before anybody has written there: a cache of the original is not used.
            assert vocabulary_state(transaction).vocabulary != original.vocabulary
        identity = run(url, "SELECT database FROM recommender.identity")
        assert total_of(all_work(copy, HashEncoder()).run()) == Progress()
        assert run(url, "SELECT database FROM recommender.identity") != identity
        future = "SELECT count(*) FROM recommender.job_state"
        where = " WHERE changed > pg_current_xact_id()"
        assert run(url, future + where) == [(0,)]
        assert skills_of(url) == [["sql", "go"]]
        copy.close()


def test_f91_rows_of_another_database_meet_ours_and_ours_stay(
    postgres: Server, database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["sql, go", "rust"])
    add_user(database_url, 1, "sql")
    fill(database, HashEncoder())
    # As a dump of the data alone has them: every table, in the order of their names.
    with fresh_database(postgres) as url:
        # It has a vocabulary of its own, in which the same ids are other skills.
        add_pending_jobs(url, ["welding, mig"])
        other = Database(url, pool_size=1)
        fill(other, HashEncoder())
        run(url, "TRUNCATE skill_job1, users")
        for table in (
            "skill_job1 (job_id, skills, embedding, embedding_version)",
            "users (user_id, skills)",
            "recommender.entity (name, relation, is_filled)",
            "recommender.identity (only_row, database, place, forgotten)",
            "recommender.job_state (job_id, skill_ids, changed, state)",
            "recommender.migration (name, applied_at)",
            "recommender.skill (skill_id, skill, embedding, embedding_version)",
            "recommender.skill_vocabulary (only_row, vocabulary, revision)",
            "recommender.user_state (user_id, skill_ids, embedding, state)",
        ):
            copy_rows(database_url, url, table)
        run(url, "SELECT setval('recommender.skill_skill_id_seq', 3)")
        encoder = HashEncoder()
        done = total_of(all_work(other, encoder).run())
        # The jobs bring their embeddings along; skills are made again.
        assert (done.embedded, done.split) == (1, 2)
        assert skills_of(url) == [["sql", "go"], ["rust"]]
        assert skills_of(url, "user_state", "user_id") == [["sql"]]
        other.close()


def copy_rows(source: str, target: str, table: str) -> None:
    name, columns = table.split(" ", 1)
    qualified = name if "." in name else f"public.{name}"
    data = io.StringIO()
    with closing(psycopg2.connect(source)) as connection:
        cursor = connection.cursor()
        # An empty search path, as pg_dump sets it.
        cursor.execute("SELECT set_config('search_path', '', false)")
        query = f"COPY (SELECT {columns[1:-1]} FROM {qualified}) TO STDOUT"
        cursor.copy_expert(query, data)
    data.seek(0)
    with closing(psycopg2.connect(target)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT set_config('search_path', '', false)")
        cursor.copy_expert(f"COPY {qualified} {columns} FROM STDIN", data)
        connection.commit()


def test_f91_rows_that_come_by_replication_are_recorded(database_url: str) -> None:
    run(
        database_url,
        "SET session_replication_role = replica;"
        " INSERT INTO skill_job1 (job_id, skills) VALUES (1, 'sql');"
        " INSERT INTO users (user_id, skills) VALUES (1, 'sql')",
    )
    admit(database_url)
    for table in ("job_state", "user_state"):
        assert run(database_url, f"SELECT state::text FROM recommender.{table}") == [
            ("pending",)
        ]


# --- rows that take nothing ---------------------------------------------------------

TAKES_NOTHING = {
    "before": "CREATE TRIGGER t BEFORE UPDATE ON skill_job1 FOR EACH ROW WHEN"
    " (NEW.job_id = 1) EXECUTE FUNCTION reset_before()",
    "after": "CREATE TRIGGER t AFTER UPDATE ON skill_job1 FOR EACH ROW WHEN"
    " (NEW.job_id = 1 AND NEW.embedding IS NOT NULL) EXECUTE FUNCTION reset_after()",
}


@pytest.mark.parametrize("when", TAKES_NOTHING)
def test_f93_a_row_that_keeps_no_embedding_is_quarantined_and_the_watch_rests(
    database: Database, database_url: str, when: str
) -> None:
    run(
        database_url,
        "CREATE FUNCTION reset_before() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.embedding := NULL; RETURN NEW; END $$;"
        "CREATE FUNCTION reset_after() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN UPDATE skill_job1 SET embedding = NULL WHERE job_id = NEW.job_id;"
        f" RETURN NULL; END $$; {TAKES_NOTHING[when]}",
    )
    add_pending_jobs(database_url, ["a", "b"])
    work = all_work(database, HashEncoder())
    for _ in range(MOST_STORES + 2):
        list(work.run())
    assert not work.any_waiting()
    (failure,) = work.backfills[0].failures()
    assert failure.row_id == "1"
    query = "SELECT state::text FROM recommender.job_state ORDER BY 1"
    states = run(database_url, query)
    assert states == [("embedded",), ("quarantined",)]
    # An edit is a new chance.
    run(database_url, "DROP TRIGGER t ON skill_job1")
    run(database_url, "UPDATE skill_job1 SET skills = 'c' WHERE job_id = 1")
    assert total_of(work.run()) == Progress(embedded=1)


def test_f93_a_row_that_is_reset_now_and_then_is_not_quarantined(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["a"])
    for _ in range(MOST_STORES + 2):
        list(Backfill(database, HashEncoder(), batch_size=4).run())
        run(database_url, "UPDATE skill_job1 SET embedding = NULL")
        # As if an hour went by.
        run(
            database_url,
            "UPDATE recommender.job_state"
            " SET stored_at = stored_at - interval '1 hour'",
        )
    done = total_of(Backfill(database, HashEncoder(), batch_size=4).run())
    assert done == Progress(embedded=1)


# --- a stream that breaks off ---------------------------------------------------------


def test_skills_are_not_removed_by_the_half_of_a_stream(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_pending_jobs(database_url, [f"skill {n}" for n in range(50)])
    fill(database, HashEncoder())
    whole = stored_skills.stream_skill_ids

    class Half:
        """Forwards only the first bytes, as a proxy that ends a COPY early."""

        def __init__(self, sink: Sink) -> None:
            self._sink = sink
            self._left = 500

        def write(self, data: bytes, /) -> object:
            part, self._left = data[: self._left], max(0, self._left - len(data))
            return self._sink.write(part) if part else None

    def half(
        transaction: Transaction, sink: Sink, *args: object, **more: object
    ) -> None:
        whole(transaction, Half(sink), *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("app.backfill.counting.stream_skill_ids", half)
    with (
        pytest.raises(DatabaseUnavailableError, match="ended its response early"),
        database.snapshot(Deadline.after(30)) as transaction,
    ):
        used_skills(transaction)
    with pytest.raises(DatabaseUnavailableError):
        VocabularyKeeper(database, HashEncoder()).remove_unused()
    assert run(database_url, "SELECT count(*) FROM recommender.skill") == [(50,)]
