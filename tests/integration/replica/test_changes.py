"""Each way in which the embedding of a job can change, appear or vanish is found."""

import pytest
from psycopg2.sql import SQL

from tests.integration.replica.conftest import JOBS
from tests.integration.replica.replicas import Exercise, around
from tests.support.postgres import run

OTHER = around(1, seed=3)[0]
# `{some}`: the condition that names some jobs; `%(other)s`: another embedding.
SOME = "job_id %% 7 = 3"
CHANGES = {
    "written by hand": "UPDATE skill_job1 SET embedding = %(other)s WHERE {some}",
    "of other skills": "UPDATE recommender.job_state"
        " SET skill_ids = '\\x07000000', changed = pg_current_xact_id() WHERE {some}",
    "of no skills": "UPDATE recommender.job_state"
        " SET skill_ids = NULL, changed = pg_current_xact_id() WHERE {some}",
    "forgotten": "UPDATE skill_job1 SET embedding = NULL WHERE {some}",
    "of another model":
        "UPDATE skill_job1 SET embedding_version = 'other' WHERE {some}",
    "of no named model": "UPDATE skill_job1 SET embedding_version = NULL WHERE {some}",
    "of another text": "UPDATE skill_job1 SET skills = 'edited' WHERE {some}",
    "of another text and written":
        "UPDATE skill_job1 SET skills = 'edited', embedding = %(other)s WHERE {some}",
    "of another id": "UPDATE skill_job1 SET job_id = job_id + 100000 WHERE {some}",
    "of no id": "ALTER TABLE skill_job1 DROP CONSTRAINT skill_job1_pkey;"
        " ALTER TABLE skill_job1 ALTER job_id DROP IDENTITY;"
        " ALTER TABLE skill_job1 ALTER job_id DROP NOT NULL;"
        " UPDATE skill_job1 SET job_id = NULL WHERE {some}",
    "malformed": "UPDATE skill_job1 SET embedding = 'x' WHERE {some}",
    "pointing nowhere":
        "UPDATE skill_job1 SET embedding = decode(repeat('00', 1536), 'hex')"
        " WHERE {some}",
    "of a blank text": "UPDATE skill_job1 SET skills = '' WHERE {some};"
        " UPDATE skill_job1 SET embedding = %(other)s WHERE {some}",
    "deleted": "DELETE FROM skill_job1 WHERE {some}",
    "deleted and back": "CREATE TABLE kept AS SELECT * FROM skill_job1 WHERE {some};"
        " DELETE FROM skill_job1 WHERE {some};"
        " INSERT INTO skill_job1 SELECT * FROM kept",
    "deleted and inserted without": "DELETE FROM skill_job1 WHERE {some};"
        " INSERT INTO skill_job1 (job_id, skills)"
        " SELECT id, 'new' FROM generate_series(0, 3000) AS id WHERE id %% 7 = 3",
    "inserted": "INSERT INTO skill_job1 (job_id, skills, embedding)"
        " SELECT id, 'new', %(other)s FROM generate_series(5000, 5050) AS id",
    "inserted and then written": "INSERT INTO skill_job1 (job_id, skills)"
        " SELECT id, 'new' FROM generate_series(5000, 5050) AS id;"
        " UPDATE skill_job1 SET embedding = %(other)s WHERE job_id >= 5000",
    "inserted or updated": "INSERT INTO skill_job1 (job_id, skills, embedding)"
        " SELECT id, 'text ' || id, %(other)s FROM generate_series(0, 3000, 10) AS id"
        " ON CONFLICT (job_id) DO UPDATE SET embedding = excluded.embedding",
    "merged": "MERGE INTO skill_job1 AS t USING generate_series(0, 3000, 10) AS id"
        " ON t.job_id = id WHEN MATCHED THEN UPDATE SET embedding = %(other)s"
        " WHEN NOT MATCHED THEN INSERT (job_id, embedding) VALUES (id, %(other)s)",
    "twice": "ALTER TABLE skill_job1 DROP CONSTRAINT skill_job1_pkey;"
        " INSERT INTO skill_job1 (job_id, skills, embedding)"
        " SELECT job_id, 'again', %(other)s FROM skill_job1 WHERE {some};"
        " UPDATE skill_job1 SET embedding = NULL WHERE {some} AND skills <> 'again'",
    "in quarantine": "UPDATE recommender.job_state SET state = 'quarantined'"
        " WHERE {some}; UPDATE skill_job1 SET embedding = NULL WHERE {some}",
    "truncated": "TRUNCATE skill_job1",
    "truncated and filled": "TRUNCATE skill_job1;"
        " INSERT INTO skill_job1 (job_id, skills, embedding)"
        " SELECT id, 'new', %(other)s FROM generate_series(1, 50) AS id",
    "by a replicating session": "SET session_replication_role = replica;"
        " UPDATE skill_job1 SET embedding = %(other)s WHERE {some}",
    "in a subtransaction": "DO $$ BEGIN BEGIN"
        " UPDATE skill_job1 SET embedding = NULL WHERE {some};"
        " EXCEPTION WHEN division_by_zero THEN NULL; END; END $$",
    "rolled back": "BEGIN; UPDATE skill_job1 SET embedding = NULL WHERE {some};"
        " ROLLBACK",
    "triggers off for a while":
        "ALTER TABLE skill_job1 DISABLE TRIGGER ALL;"
        " UPDATE skill_job1 SET embedding = %(other)s WHERE {some};"
        " ALTER TABLE skill_job1 ENABLE ALWAYS TRIGGER recommender_written,"
        " ENABLE ALWAYS TRIGGER recommender_truncated",
    "triggers off": "ALTER TABLE skill_job1 DISABLE TRIGGER recommender_written;"
        " UPDATE skill_job1 SET embedding = %(other)s WHERE {some}",
    "triggers lost": "DROP TRIGGER recommender_written ON skill_job1;"
        " UPDATE skill_job1 SET embedding = %(other)s WHERE {some}",
    "another column":
        "ALTER TABLE skill_job1 DROP COLUMN embedding, ADD COLUMN embedding BYTEA",
    "a column that was another's": "ALTER TABLE skill_job1 ADD spare BYTEA;"
        " UPDATE skill_job1 SET spare = %(other)s;"
        " ALTER TABLE skill_job1 RENAME embedding TO old;"
        " ALTER TABLE skill_job1 RENAME spare TO embedding",
    "rewritten": "ALTER TABLE skill_job1 ALTER embedding TYPE BYTEA USING %(other)s",
    "states lost": "TRUNCATE recommender.job_state;"
        " UPDATE skill_job1 SET embedding = NULL WHERE {some}",
    "deletions forgotten": "DELETE FROM skill_job1 WHERE {some};"
        " UPDATE recommender.identity SET forgotten ="
        " (SELECT max(changed) FROM recommender.job_state);"
        " DELETE FROM recommender.job_state WHERE state = 'gone'",
    "an inheriting table": "CREATE TABLE more () INHERITS (skill_job1);"
        " INSERT INTO more (job_id, skills, embedding) VALUES (1, 'x', %(other)s)",
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_found_by_the_next_request(filled: Exercise, change: str) -> None:
    """Before and after the keeper has been there, and by a later one."""
    assert filled.check()
    statement = CHANGES[change].replace("{some}", SOME)
    run(filled.url, SQL(statement), {"other": OTHER.tobytes()})
    filled.check()
    filled.check()
    filled.pass_once()
    filled.check()
    filled.pass_once()
    filled.check()


RECORDED = list(CHANGES)[: list(CHANGES).index("truncated")]


@pytest.mark.parametrize("change", RECORDED)
def test_what_the_triggers_record_needs_no_full_scan(
    filled: Exercise, change: str
) -> None:
    statement = CHANGES[change].replace("{some}", SOME)
    is_table_the_same = "ALTER" not in statement
    run(filled.url, SQL(statement), {"other": OTHER.tobytes()})
    found = filled.check()
    assert (found is not None) or not is_table_the_same
    filled.pass_once()
    found = filled.check()
    assert found is not None
    assert found.volume.rows == 0  # all of it was taken over
    assert found.analyzed > JOBS / 2
