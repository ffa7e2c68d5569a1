"""The SQL of skills: the vocabulary, and the skill ids of jobs and users."""

# ruff: noqa: S608  (the pieces put together here are constants of this package)

from psycopg2.sql import SQL

from app.storage.queries import CURRENT, HAS_TEXT, RIGHT_LENGTH

SOUND = CURRENT.string + " AND " + RIGHT_LENGTH.string

# --- vocabulary --------------------------------------------------------------

VOCABULARY = SQL("SELECT vocabulary::text, revision FROM skill_vocabulary")
COUNTED_VOCABULARY = SQL(
    "SELECT vocabulary::text, revision,"
    " CASE WHEN counted_vocabulary = vocabulary THEN counts_stamp::text END"
    " FROM skill_vocabulary"
)

# Until the transaction ends nobody else adds or removes a skill.
LOCK_VOCABULARY = SQL("SELECT FROM skill_vocabulary FOR NO KEY UPDATE")

# The same record as that of a job's embedding, see queries.STREAM_EMBEDDINGS; in the
# order of writing, so that a reader that was broken off can go on.
STREAM_SKILLS = SQL(
    "SELECT skill_id::int8, 0::int2, embedding FROM skill"
    " WHERE (revision, skill_id) > ({revision}, {skill_id}) AND "
    + SOUND
    + " ORDER BY revision, skill_id LIMIT {limit}"
)
REVISION_OF = SQL("SELECT revision FROM skill WHERE skill_id = %(skill_id)s")

SKILL_IDS = SQL(
    "SELECT skill, skill_id FROM skill WHERE skill = ANY (%(skills)s) AND " + SOUND
)

COUNT_STALE_SKILLS = SQL("SELECT count(*) FROM skill WHERE (" + SOUND + ") IS NOT TRUE")
NEXT_STALE_SKILLS = SQL(
    "SELECT skill FROM skill WHERE (" + SOUND + ") IS NOT TRUE"
    " ORDER BY skill_id LIMIT %(limit)s"
)

# Another backfill may have added some meanwhile: it has embedded the same text.
STORE_SKILLS = SQL(
    "INSERT INTO skill (skill, embedding, embedding_version)"
    " SELECT new.skill, new.embedding, {version}"
    " FROM unnest(%(skills)s::text[], %(embeddings)s::bytea[])"
    " AS new (skill, embedding)"
    " ON CONFLICT (skill) DO UPDATE SET embedding = EXCLUDED.embedding,"
    " embedding_version = EXCLUDED.embedding_version"
)
REMOVE_SKILLS = SQL("DELETE FROM skill WHERE NOT skill_id = ANY (%(used)s)")

# --- how many jobs list each skill -------------------------------------------

SKILL_COUNTS = SQL("SELECT jobs_counted, job_counts FROM skill_vocabulary")
JOBS_COUNTED = SQL(
    "SELECT CASE WHEN counted_vocabulary = vocabulary THEN jobs_counted END"
    " FROM skill_vocabulary"
)
GREATEST_ID = SQL("SELECT coalesce(max(skill_id), 0) FROM skill")
STORE_SKILL_COUNTS = SQL(
    "UPDATE skill_vocabulary SET job_counts = %(listed)s, jobs_counted = %(jobs)s,"
    " counts_stamp = gen_random_uuid(), counted_vocabulary = %(vocabulary)s::uuid"
)

# --- skill ids of jobs and users ---------------------------------------------

# The spare int2 puts the ids on a four-byte boundary of the record.
STREAM_SKILL_IDS = SQL(
    "SELECT {key}::{id_type}, 0::int2, skill_ids FROM {table}"
    " WHERE {key} IS NOT NULL AND octet_length(skill_ids) > 0"
    " AND octet_length(skill_ids) % 4 = 0"
)
ROWS_BY_ID = SQL(
    "SELECT {key}::{id_type}, skills, skill_ids,"
    " CASE WHEN " + SOUND + " THEN embedding END{columns} FROM {table}"
    " WHERE {key} = ANY (%(ids)s::{id_type}[])"
)

UNSPLIT = SQL("skill_ids IS NULL AND " + HAS_TEXT.string)
COUNT_UNSPLIT = SQL("SELECT count(*) FROM {table} WHERE " + UNSPLIT.string)
ANY_UNSPLIT = SQL("SELECT EXISTS (SELECT FROM {table} WHERE " + UNSPLIT.string + ")")
NEXT_UNSPLIT = SQL(
    "SELECT {key}::{id_type}, skills::text FROM {table} WHERE "
    + UNSPLIT.string
    + " AND {key} IS NOT NULL"
    " AND (%(after)s IS NULL OR {key} > %(after)s::{id_type})"
    " ORDER BY {key} LIMIT %(limit)s"
)

# Compare-and-set on the text that was split; as backfill_queries.STORE it never waits
# for a row that somebody edits.
STORE_SKILL_IDS = SQL(
    "WITH fresh AS ("
    " SELECT * FROM unnest("
    "%(ids)s::{id_type}[], %(texts)s::text[], %(skill_ids)s::bytea[])"
    " AS fresh (id, skills, skill_ids)"
    "), free AS ("
    " SELECT fresh.* FROM {table} AS t JOIN fresh ON t.{key} = fresh.id"
    ' AND t.skills::text COLLATE "C" = fresh.skills COLLATE "C"'
    " FOR NO KEY UPDATE OF t SKIP LOCKED"
    ") UPDATE {table} AS t SET skill_ids = free.skill_ids FROM free"
    " WHERE t.{key} = free.id"
    ' AND t.skills::text COLLATE "C" = free.skills COLLATE "C"'
)

STREAM_SIDE_EMBEDDINGS = SQL(
    "SELECT {key}::{id_type}, 0::int2, embedding FROM {table}"
    " WHERE {key} IS NOT NULL AND " + SOUND
)
