"""Jobs on several servers: laid out, moved, resumed, gathered; answers as of one."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
from psycopg2.sql import SQL, Identifier

from app.commands import switch_model
from app.commands.migrate import MigratedTables, migrate
from app.commands.shards import command, moves
from app.errors import ConfigError
from app.storage.connection.database import Database
from tests.integration.shards.answers import answers, embed, insert_rows, text_of
from tests.support.encoders import BlendEncoder
from tests.support.postgres import Server, fresh_database, run
from tests.support.rows import admit
from tests.support.shards import Databases, Fleet
from tests.support.skills import fill

PLACES = (
    "SELECT c.relname::text, coalesce(s.srvname::text, 'here') FROM pg_class c"
    " LEFT JOIN pg_foreign_table f ON f.ftrelid = c.oid"
    " LEFT JOIN pg_foreign_server s ON s.oid = f.ftserver"
    " WHERE c.relnamespace = 'recommender_shards'::regnamespace"
    " AND c.relname LIKE 'jobs%' AND c.relkind IN ('r', 'f') ORDER BY 1"
)
# As the team writes: single rows, many at once, and each kind of change.
EDITS = (
    "INSERT INTO skill_job1 (job_id, skills) VALUES (201, 'python, spark')",
    "INSERT INTO skill_job1 (job_id, skills) VALUES (202, 'go, aws'), (203, 'sql')",
    "UPDATE skill_job1 SET skills = 'java, git' WHERE job_id % 10 = 3",
    "UPDATE skill_job1 SET skills = 'css' WHERE job_id = 7",
    "DELETE FROM skill_job1 WHERE job_id IN (4, 5)",
)


@pytest.fixture
def plain(postgres: Server) -> Iterator[str]:
    """A database that holds everything itself."""
    with fresh_database(postgres) as url:
        yield url


def places(url: str) -> dict[str, str]:
    return dict(run(url, PLACES))


def count_at(databases: Databases, shard: str) -> int:
    """The rows on a shard, as it counts them itself."""
    url = databases.shards[shard]
    count = SQL("SELECT count(*) FROM recommender_shards.{}")
    parts = run(url, "SELECT part FROM recommender_shards.health")
    return sum(run(url, count.format(Identifier(part)))[0][0] for (part,) in parts)


def test_answers_are_those_of_one_database_before_and_after_edits(
    databases: Databases, plain: str, tmp_path: Path
) -> None:
    for url in (databases.url, plain):
        insert_rows(url)
        embed(url)
    wanted = answers(plain, tmp_path / "plain")
    assert answers(databases.url, tmp_path / "before") == wanted
    assert databases.lay_out(tmp_path) == 0
    assert count_at(databases, "one") + count_at(databases, "two") == 60
    assert count_at(databases, "one") > 0 < count_at(databases, "two")
    assert answers(databases.url, tmp_path / "after") == wanted
    for statement in EDITS:
        run(plain, statement)
        run(databases.url, statement)
        assert answers(databases.url, tmp_path / "a") == answers(plain, tmp_path / "b")
    for url in (databases.url, plain):
        admit(url)
        embed(url)
    edited = answers(plain, tmp_path / "b")
    assert edited != wanted
    assert answers(databases.url, tmp_path / "a") == edited


def test_partitions_move_between_servers_and_back(
    databases: Databases, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    insert_rows(databases.url)
    embed(databases.url)
    wanted = answers(databases.url, tmp_path / "cache")
    assert databases.lay_out(tmp_path, ["one"]) == 0
    assert set(places(databases.url).values()) == {"recommender_one"}
    assert databases.lay_out(tmp_path, ["one", "two"]) == 0
    found = list(places(databases.url).values())
    assert sorted(found) == ["recommender_one"] * 2 + ["recommender_two"] * 2
    capsys.readouterr()
    assert databases.lay_out(tmp_path, ["one", "two"]) == 0
    assert capsys.readouterr().out == "one: 2 of 4 partitions\ntwo: 2 of 4 partitions\n"
    assert databases.lay_out(tmp_path, ["two"]) == 0
    assert set(places(databases.url).values()) == {"recommender_two"}
    gone = "SELECT to_regnamespace('recommender_shards')"
    assert run(databases.shards["one"], gone) == [(None,)]
    assert answers(databases.url, tmp_path / "cache") == wanted
    assert databases.lay_out(tmp_path, []) == 0
    assert set(places(databases.url).values()) == {"here"}
    assert answers(databases.url, tmp_path / "cache") == wanted
    run(databases.url, "UPDATE skill_job1 SET skills = 'git' WHERE job_id = 1")
    query = "SELECT state::text FROM recommender.job_state WHERE job_id = 1"
    assert run(databases.url, query) == [("pending",)]


def test_an_interrupted_move_changes_nothing_and_the_next_run_continues(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_rows(databases.url)
    embed(databases.url)
    wanted = answers(databases.url, tmp_path / "cache")
    put = moves._put
    done: list[object] = []

    def stop_at_the_third(*args: object) -> None:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(args)
        put(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(moves, "_put", stop_at_the_third)
        assert databases.lay_out(tmp_path) == command.SIGINT_STATUS
    assert sorted(places(databases.url).values()).count("here") == 2
    assert answers(databases.url, tmp_path / "cache") == wanted
    run(databases.url, "UPDATE skill_job1 SET skills = 'sql, go' WHERE job_id = 9")
    assert databases.lay_out(tmp_path) == 0
    assert "here" not in places(databases.url).values()
    embed(databases.url)
    texts = dict(run(databases.url, "SELECT job_id, skills FROM skill_job1"))
    assert texts == {n + 1: text_of(n) for n in range(60)} | {9: "sql, go"}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE recommender_shards.{} SET skills = 'x'",
        "DELETE FROM recommender_shards.{}",
        "INSERT INTO recommender_shards.{} (job_id) VALUES (1000)",
        "COPY recommender_shards.{} FROM PROGRAM 'echo 1000'",
    ],
)
def test_who_writes_to_a_shard_itself_is_refused_with_what_to_do(
    databases: Databases, tmp_path: Path, statement: str
) -> None:
    insert_rows(databases.url, jobs=20)
    assert databases.lay_out(tmp_path, ["one"], partitions=1) == 0
    with pytest.raises(psycopg2.errors.RaiseException, match="write to that table, so"):
        run(databases.shards["one"], statement.format("jobs_0"))
    # Also who replays another server's changes.
    with pytest.raises(psycopg2.errors.RaiseException, match="write to that table, so"):
        replayed = "SET session_replication_role = replica; "
        run(databases.shards["one"], replayed + statement.format("jobs_0"))


def test_an_id_on_a_shard_cannot_change_and_jobs_cannot_be_truncated(
    databases: Databases, tmp_path: Path
) -> None:
    insert_rows(databases.url, jobs=20)
    assert databases.lay_out(tmp_path) == 0
    with pytest.raises(psycopg2.errors.RaiseException, match="delete the row and ins"):
        run(databases.url, "UPDATE skill_job1 SET job_id = 99 WHERE job_id = 1")
    with pytest.raises(psycopg2.errors.RaiseException, match="delete its rows"):
        run(databases.url, "TRUNCATE skill_job1")
    assert run(databases.url, "SELECT count(*) FROM skill_job1") == [(20,)]


def test_rows_lie_by_the_values_of_a_column(
    databases: Databases, tmp_path: Path
) -> None:
    insert_rows(databases.url)
    run(databases.url, "ALTER TABLE skill_job1 ADD region text")
    run(
        databases.url,
        "UPDATE skill_job1 SET region = CASE job_id % 4 WHEN 0 THEN 'de'"
        " WHEN 1 THEN 'fr' WHEN 2 THEN 'o''r' END",
    )
    embed(databases.url)
    wanted = answers(databases.url, tmp_path / "cache")
    values = {"one": ["de"], "two": ["fr"]}
    assert databases.lay_out(tmp_path, column="region", values=values) == 0
    assert count_at(databases, "one") == count_at(databases, "two") == 15
    assert answers(databases.url, tmp_path / "cache") == wanted
    # A value that is new, among rows of other values till now.
    values = {"one": ["de"], "two": ["fr", "o'r"]}
    assert databases.lay_out(tmp_path, column="region", values=values) == 0
    assert count_at(databases, "two") == 30
    assert answers(databases.url, tmp_path / "cache") == wanted
    run(databases.url, "INSERT INTO skill_job1 VALUES (300, 'go', NULL, NULL, 'fr')")
    assert count_at(databases, "two") == 31
    with pytest.raises(psycopg2.errors.RaiseException, match="delete the row and ins"):
        run(databases.url, "UPDATE skill_job1 SET region = 'de' WHERE job_id = 300")


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (
            "CREATE TABLE applied (job_id bigint REFERENCES skill_job1)",
            "the foreign key applied_job_id_fkey of public.applied",
        ),
        ("CREATE VIEW shown AS SELECT job_id FROM skill_job1", "the view public.shown"),
        (
            "CREATE UNIQUE INDEX by_text ON skill_job1 (skills)",
            "the unique index public.by_text",
        ),
        (
            "ALTER TABLE skill_job1 ENABLE ROW LEVEL SECURITY",
            "its row-level security",
        ),
        (
            "CREATE PUBLICATION feed FOR TABLE skill_job1",
            "the publication feed",
        ),
        (
            "CREATE TRIGGER own AFTER INSERT ON skill_job1 EXECUTE FUNCTION f()",
            "the trigger own",
        ),
    ],
)
def test_what_is_in_the_way_is_named_and_nothing_is_changed(
    databases: Databases,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    statement: str,
    named: str,
) -> None:
    insert_rows(databases.url, jobs=3)
    body = "BEGIN RETURN NULL; END"
    run(
        databases.url,
        f"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS '{body}'",
    )
    run(databases.url, statement)
    assert databases.lay_out(tmp_path) == 1
    assert capsys.readouterr().err == (
        f"shards: skill_job1 cannot be split over servers because of {named}; drop"
        " each first (docs/shards.md).\n"
    )
    assert run(databases.url, "SELECT count(*) FROM ONLY skill_job1") == [(3,)]
    gone = "SELECT to_regnamespace('recommender_shards')"
    assert run(databases.shards["one"], gone) == [(None,)]


def test_rights_defaults_ids_indexes_and_checks_stay(
    databases: Databases, tmp_path: Path
) -> None:
    insert_rows(databases.url, jobs=5)
    run(
        databases.url,
        "SELECT setval(pg_get_serial_sequence('skill_job1', 'job_id'), 70);"
        "CREATE ROLE reader; GRANT SELECT ON skill_job1 TO reader;"
        "ALTER TABLE skill_job1 ADD title text DEFAULT 'none' CHECK (title <> ''),"
        " ADD size int GENERATED ALWAYS AS (length(skills)) STORED;"
        "CREATE INDEX ON skill_job1 (lower(title))",
    )
    assert databases.lay_out(tmp_path) == 0
    run(databases.url, "INSERT INTO skill_job1 (skills) VALUES ('go, sql')")
    query = "SELECT job_id, title, size FROM skill_job1 WHERE job_id > 60"
    assert run(databases.url, query) == [(71, "none", 7)]
    with pytest.raises(psycopg2.errors.CheckViolation):
        run(databases.url, "INSERT INTO skill_job1 (title) VALUES ('')")
    may = "SELECT has_table_privilege('reader', 'skill_job1', 'SELECT')"
    assert run(databases.url, may) == [(True,)]
    run(databases.url, "DROP OWNED BY reader; DROP ROLE reader")
    indexed = (
        "SELECT count(*) FROM pg_indexes WHERE schemaname = 'recommender_shards'"
        " AND tablename LIKE 'jobs%' AND indexdef LIKE '%lower(title)%'"
    )
    assert run(databases.shards["one"], indexed) == [(2,)]
    twice = "INSERT INTO skill_job1 (job_id, skills) VALUES (1, 'again')"
    with pytest.raises(psycopg2.errors.UniqueViolation):
        run(databases.url, twice)


def test_a_serial_id_goes_on_and_keeps_its_sequence(
    databases: Databases, tmp_path: Path
) -> None:
    insert_rows(databases.url, jobs=5)
    run(
        databases.url,
        "ALTER TABLE skill_job1 ALTER job_id DROP IDENTITY;"
        "CREATE SEQUENCE own START 70 OWNED BY skill_job1.job_id;"
        "ALTER TABLE skill_job1 ALTER job_id SET DEFAULT nextval('own')",
    )
    for names in (["one"], []):
        assert databases.lay_out(tmp_path, names) == 0
        run(databases.url, "INSERT INTO skill_job1 (skills) VALUES ('go')")
    owned = "SELECT pg_get_serial_sequence('skill_job1', 'job_id')"
    assert run(databases.url, owned) == [("public.own",)]
    ids = "SELECT job_id FROM skill_job1 WHERE job_id > 5 ORDER BY 1"
    assert run(databases.url, ids) == [(70,), (71,)]


def test_a_title_that_changes_on_a_shard_is_split_again(
    databases: Databases, tmp_path: Path
) -> None:
    insert_rows(databases.url, jobs=5)
    run(databases.url, "ALTER TABLE skill_job1 ADD title text")
    list(migrate(databases.url, tables=MigratedTables(title_column="title")))
    assert databases.lay_out(tmp_path) == 0
    embed(databases.url)
    run(databases.url, "UPDATE skill_job1 SET title = 'Chef' WHERE job_id = 2")
    waiting = "SELECT job_id FROM recommender.job_state WHERE skill_ids IS NULL"
    assert run(databases.url, waiting) == [(2,)]
    embed(databases.url)
    assert run(databases.url, waiting) == []
    chef = "SELECT count(*) FROM recommender.skill WHERE skill = 'chef'"
    assert run(databases.url, chef) == [(1,)]


def test_another_model_is_refused_with_the_way_to_it(
    databases: Databases, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    insert_rows(databases.url, jobs=3)
    assert databases.lay_out(tmp_path) == 0
    sentence = (
        "The jobs lie on shards, which hold embeddings of all-MiniLM-L6-v2 only; set"
        " MODEL=all-MiniLM-L6-v2, or gather them first:"
        " `python scripts/shards.py FILE`, with a FILE that lists no servers."
    )
    assert switch_model.main(["another"]) == 2
    assert capsys.readouterr().err == f"switch_model: {sentence}\n"
    # No model has begun: the first one would.
    with closing(Database(databases.url, pool_size=1)) as database:
        other = BlendEncoder()
        other.version = "another"
        with pytest.raises(ConfigError) as raised:
            fill(database, other)
    assert str(raised.value) == sentence
    query = "SELECT embedding_version FROM recommender.identity"
    assert run(databases.url, query) == [(None,)]


def test_a_shard_of_another_coordinator_is_refused(
    databases: Databases, fleet: Fleet, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    insert_rows(databases.url, jobs=3)
    assert databases.lay_out(tmp_path, ["one"]) == 0
    with fleet.fresh() as others:
        monkeypatch.setenv("DATABASE_URL", others.url)
        both = Databases(others.url, databases.shards)
        assert both.lay_out(tmp_path, ["one"]) == 1
        assert "holds shards of another coordinator" in capsys.readouterr().err
        itself = Databases(others.url, {"one": others.url})
        assert itself.lay_out(tmp_path, ["one"]) == 1
        assert "name one that has none" in capsys.readouterr().err


@contextmanager
def open_reader(url: str) -> Iterator[None]:
    """A transaction that has read the jobs, and is not finished."""
    connection = psycopg2.connect(url)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM skill_job1")
        yield
    connection.close()


def test_a_swap_steps_aside_for_a_reader_that_stays(
    databases: Databases,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    insert_rows(databases.url, jobs=3)
    assert databases.lay_out(tmp_path, ["one"]) == 0
    monkeypatch.setattr("app.commands.shards.session.MOST_SWAPS", 2)
    monkeypatch.setattr("app.commands.shards.session.SWAP_PAUSE_S", 0.0)
    with open_reader(databases.url):
        assert databases.lay_out(tmp_path) == 1
        # Others read on.
        assert run(databases.url, "SELECT count(*) FROM skill_job1") == [(3,)]
    assert capsys.readouterr().err == (
        "shards: Jobs were being read at each of 2 moments, and nothing was changed;"
        " end the long transactions and run it again.\n"
    )
    assert databases.lay_out(tmp_path) == 0


def test_a_type_that_a_shard_lacks_is_named_with_the_shard(
    databases: Databases, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    insert_rows(databases.url, jobs=3)
    run(
        databases.url, "CREATE DOMAIN level AS text; ALTER TABLE skill_job1 ADD l level"
    )
    assert databases.lay_out(tmp_path) == 1
    said = 'shards: The server one says: type "public.level" does not exist.\n'
    assert capsys.readouterr().err == said
    assert run(databases.url, "SELECT count(*) FROM skill_job1") == [(3,)]
