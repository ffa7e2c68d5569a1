"""Migrating a database whose migrations were applied in an earlier version."""

from collections.abc import Iterator, Sequence

import pytest

from app.backfill import Progress
from app.commands.migrate import main, migrate
from app.storage.connection.database import Database
from tests.support.doctor import MIGRATE, MODEL_DIR, findings
from tests.support.encoders import HashEncoder
from tests.support.postgres import Server, fresh_database, run
from tests.support.rows import add_pending_jobs, add_user
from tests.support.skills import all_work, skills_of

# The differences between the first version of the schema and today's.
FIRST_VERSION = """
ALTER TABLE recommender.migration DROP COLUMN checksum;
ALTER TABLE recommender.entity DROP COLUMN parts, DROP COLUMN title_column;
ALTER TABLE recommender.identity
    ALTER COLUMN embedding_version SET DEFAULT 'all-MiniLM-L6-v2';
UPDATE recommender.identity SET embedding_version = DEFAULT;
ALTER TABLE recommender.identity ALTER COLUMN embedding_version SET NOT NULL;
ALTER TABLE recommender.skill_vocabulary
    DROP COLUMN split_version, DROP COLUMN synonyms;
DROP TABLE recommender.synonym, recommender.model, recommender.skill_embedding,
    recommender.user_embedding, recommender.new_job, recommender.new_user,
    recommender.resplit, recommender.feedback, recommender.exposure;
CREATE TABLE recommender.synonym (
    skill_from TEXT COLLATE "C" PRIMARY KEY, skill_to TEXT COLLATE "C" NOT NULL);
ALTER TABLE recommender.job_state DROP COLUMN text_hash;
ALTER TABLE recommender.user_state DROP COLUMN text_hash;
ALTER TABLE recommender.recommendation DROP COLUMN since;
DROP FUNCTION recommender.admit(TEXT, INTEGER), recommender.text_hash(TEXT),
    recommender.use_model(TEXT, INTEGER), recommender.drop_vectors(TEXT);
CREATE FUNCTION recommender.admit(wanted TEXT, most INTEGER) RETURNS VOID
    LANGUAGE sql AS '';
CREATE FUNCTION recommender.use_model(version TEXT) RETURNS VOID LANGUAGE sql AS '';
"""
FIRST_VERSION_OF_VECTORS = """
DROP FUNCTION recommender.vector_table(TEXT), recommender.add_vectors(TEXT),
    recommender.compare_vectors();
DROP FUNCTION recommender.forget_vector(), recommender.forget_vector_of_other()
    CASCADE;
CREATE FUNCTION recommender.forget_vector() RETURNS TRIGGER LANGUAGE plpgsql AS
    'BEGIN DELETE FROM recommender.job_vector WHERE job_id = OLD.job_id;
     RETURN NULL; END';
CREATE TRIGGER forget_vector AFTER UPDATE ON recommender.job_state
    FOR EACH ROW WHEN (OLD.has_vector AND NOT NEW.has_vector)
    EXECUTE FUNCTION recommender.forget_vector();
CREATE TRIGGER forget_vector_of_deleted AFTER DELETE ON recommender.job_state
    FOR EACH ROW WHEN (OLD.has_vector) EXECUTE FUNCTION recommender.forget_vector();
"""

SCHEMA = """
SELECT c.relname, a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
    a.attnotnull, a.attstorage, pg_get_expr(d.adbin, d.adrelid))
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'recommender'::regnamespace AND c.relkind <> 'i'
    AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'function', oid::regprocedure::text, pg_get_functiondef(oid) FROM pg_proc
WHERE pronamespace = 'recommender'::regnamespace
UNION ALL
SELECT 'trigger', tgname, concat_ws(' ', tgenabled, pg_get_triggerdef(t.oid))
FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid
WHERE c.relnamespace IN ('recommender'::regnamespace, 'public'::regnamespace)
UNION ALL
SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'recommender'
UNION ALL
SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'recommender'::regnamespace AND contype <> 'n'
ORDER BY 1, 2, 3
"""
ROWS = (
    "SELECT job_id, embedding, state::text, text_hash FROM skill_job1"
    " JOIN recommender.job_state USING (job_id) ORDER BY job_id"
)
USERS = "SELECT user_id, embedding, state::text, text_hash FROM recommender.user_state"


@pytest.fixture(params=[[], ["pgvector"]], ids=["without", "with pgvector"])
def extras(request: pytest.FixtureRequest) -> Sequence[str]:
    given: Sequence[str] = request.param
    return given


@pytest.fixture
def url(postgres: Server, extras: Sequence[str]) -> Iterator[str]:
    with fresh_database(postgres, template="template1") as url:
        list(migrate(url, extras=extras))
        yield url


def fill(url: str) -> Progress:
    database = Database(url, pool_size=1)
    done = sum(all_work(database, HashEncoder()).run(), Progress())
    database.close()
    return done


@pytest.mark.parametrize("again", [False, True], ids=["once", "again"])
def test_a_database_of_the_first_version_gets_todays_schema_and_keeps_its_rows(
    url: str, extras: Sequence[str], again: bool
) -> None:
    schema = run(url, SCHEMA)
    add_pending_jobs(url, ["python, sql", "welding", "  "])
    add_user(url, 1, "sql")
    fill(url)
    rows, users = run(url, ROWS), run(url, USERS)
    assert [row[2] for row in rows] == ["embedded", "embedded", "blank"]
    skills = skills_of(url)
    run(url, (FIRST_VERSION_OF_VECTORS if extras else "") + FIRST_VERSION)

    applied = list(migrate(url, again=again))

    assert applied[1] == "0002_schema"
    assert (applied[-1] == "1000_job_vector") == bool(extras)
    assert run(url, SCHEMA) == schema
    assert (run(url, ROWS), run(url, USERS)) == (rows, users)
    assert list(migrate(url)) == []
    assert fill(url).embedded == 0
    assert skills_of(url) == skills
    # The triggers and the backfill go on.
    run(url, "UPDATE skill_job1 SET skills = 'go' WHERE job_id = 2")
    run(url, "INSERT INTO skill_job1 (job_id, skills) VALUES (4, 'rust')")
    assert fill(url).embedded == 2


def test_a_file_that_has_changed_is_applied_again(
    url: str, extras: Sequence[str]
) -> None:
    name, function = (
        ("1000_job_vector", "compare_vectors()")
        if extras
        else ("0002_schema", "adopt()")
    )
    run(url, f"DROP FUNCTION recommender.{function}")
    run(url, "UPDATE recommender.migration SET checksum = 'x' WHERE name = %s", (name,))
    assert list(migrate(url)) == [name]
    run(url, f"SELECT recommender.{function}")
    assert list(migrate(url)) == []


def test_the_doctor_names_files_that_have_changed(
    capsys: pytest.CaptureFixture[str],
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MODEL_DIR", MODEL_DIR)
    run(database_url, "SELECT recommender.adopt()")  # a copy of a template
    assert findings(capsys) == {}
    run(
        database_url,
        "UPDATE recommender.migration SET checksum = 'x' WHERE name < '0003'",
    )
    problem = (
        "The schema recommender is of another version than this program, by its"
        " migrations 0001_check, 0002_schema."
    )
    assert findings(capsys) == {problem: MIGRATE}
    assert main([]) == 0
    assert findings(capsys) == {}
