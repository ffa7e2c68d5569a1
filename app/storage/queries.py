"""All SQL of the service, named. Values are bound, identifiers are `psycopg2.sql`."""

# ruff: noqa: S608  (the pieces put together here are constants of this file)

from psycopg2.sql import SQL

# --- catalogue ---------------------------------------------------------------

# A domain counts as the type beneath it. to_regclass honours the search path and
# gives no row for a table that is absent.
COLUMNS = SQL("""
    SELECT c.relname, a.attname,
           format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL)
    FROM unnest(%(tables)s::text[]) AS wanted (name)
    JOIN pg_class c ON c.oid = to_regclass(quote_ident(wanted.name))
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
""")

# --- the model version of a row ----------------------------------------------

# The guide's own script writes embeddings without a version, always of the default
# model: those rows stay valid.
CURRENT = SQL("coalesce(embedding_version, 'all-MiniLM-L6-v2') = {version}")
RIGHT_LENGTH = SQL("octet_length(embedding) = {length}")
HAS_TEXT = SQL("coalesce(skills, '') ~ '[^[:space:]]'")

# --- scanning ----------------------------------------------------------------

# octet_length reads the length from the tuple without fetching the value. The
# spare int2 (its 4 bytes of length and 2 of value) makes every record a multiple
# of eight bytes with the floats on an eight-byte boundary, so that BLAS reads them
# where they arrived; without it each batch would be copied first.
STREAM_EMBEDDINGS = SQL(
    "SELECT job_id::{id_type}, 0::int2, embedding FROM skill_job1"
    " WHERE job_id IS NOT NULL AND " + CURRENT.string + " AND " + RIGHT_LENGTH.string
)

JOB_TEXTS = SQL(
    "SELECT job_id::{id_type}, skills FROM skill_job1"
    " WHERE job_id = ANY (%(ids)s::{id_type}[])"
)

USER_TEXTS = SQL(
    "SELECT user_id::{id_type}, skills FROM users"
    " WHERE user_id = ANY (%(ids)s::{id_type}[])"
)

# --- coverage ----------------------------------------------------------------

# Each row is in exactly one state. "blank": there is no text to embed.
STATE = SQL(
    "CASE WHEN embedding IS NULL THEN CASE WHEN "
    + HAS_TEXT.string
    + " THEN 'pending' ELSE 'blank' END"
    + " WHEN NOT ("
    + CURRENT.string
    + ") THEN 'stale' WHEN NOT ("
    + RIGHT_LENGTH.string
    + ") THEN 'malformed' ELSE 'embedded' END"
)
COVERAGE = SQL(
    "SELECT " + STATE.string + " AS state, count(*) FROM skill_job1 GROUP BY state"
)
COUNT_USERS = SQL("SELECT count(*) FROM users")

# --- backfill ----------------------------------------------------------------

UNEMBEDDED = SQL(
    "(" + STATE.string + ") IN ('pending', 'stale', 'malformed') AND " + HAS_TEXT.string
)
COUNT_UNEMBEDDED = SQL("SELECT count(*) FROM skill_job1 WHERE " + UNEMBEDDED.string)

# Keyset paging: OFFSET would read all skipped rows again for every page.
NEXT_UNEMBEDDED = SQL(
    "SELECT job_id::{id_type}, skills FROM skill_job1 WHERE "
    + UNEMBEDDED.string
    + " AND (%(after)s IS NULL OR job_id > %(after)s::{id_type})"
    " ORDER BY job_id LIMIT %(limit)s"
)

# Compare-and-set on the text that was embedded: a row edited meanwhile matches
# nothing here and stays pending with its new text.
STORE_EMBEDDINGS = SQL(
    "UPDATE skill_job1 AS job"
    " SET embedding = new.embedding, embedding_version = %(version)s"
    " FROM unnest(%(ids)s::{id_type}[], %(texts)s::text[], %(embeddings)s::bytea[])"
    " AS new (job_id, skills, embedding)"
    " WHERE job.job_id = new.job_id AND job.skills = new.skills"
)
