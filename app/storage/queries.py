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

JOBS_BY_ID = SQL(
    "SELECT job_id::{id_type}, skills{columns} FROM skill_job1"
    " WHERE job_id = ANY (%(ids)s::{id_type}[])"
)

# The stored embedding comes along where it is of this model and has its length. As
# base64 it is two thirds of what the driver receives of a BYTEA.
USERS = SQL(
    "SELECT user_id::{id_type}, skills, "
    "CASE WHEN "
    + CURRENT.string
    + " AND "
    + RIGHT_LENGTH.string
    + " THEN encode(embedding, 'base64') END"
    " FROM users WHERE user_id = ANY (%(ids)s::{id_type}[])"
)
# A database that was not migrated since: users have no embeddings there.
USERS_WITHOUT_EMBEDDINGS = SQL(
    "SELECT user_id::{id_type}, skills, NULL FROM users"
    " WHERE user_id = ANY (%(ids)s::{id_type}[])"
)

# --- coverage ----------------------------------------------------------------

# Word for word the condition of the indexes of migration 0013, which answer it.
UNEMBEDDED = SQL(
    HAS_TEXT.string
    + " AND (embedding IS NULL OR NOT "
    + CURRENT.string
    + " OR NOT "
    + RIGHT_LENGTH.string
    + ")"
)
COUNT_UNEMBEDDED = SQL("SELECT count(*) FROM {table} WHERE " + UNEMBEDDED.string)

# A failure counts for the text that failed only.
QUARANTINED = SQL(
    "({key}::text, sha256(convert_to(skills, 'UTF8'))) IN"
    " (SELECT row_id, text_sha256 FROM embedding_failure WHERE table_name = {name})"
)

# Each row is in exactly one state. "blank": there is no text to embed.
STATE = SQL(
    "CASE WHEN embedding IS NOT NULL AND "
    + CURRENT.string
    + " AND "
    + RIGHT_LENGTH.string
    + " THEN 'embedded' WHEN NOT "
    + HAS_TEXT.string
    + " THEN 'blank' WHEN "
    + QUARANTINED.string
    + " THEN 'quarantined' WHEN embedding IS NULL THEN 'pending' WHEN NOT "
    + CURRENT.string
    + " THEN 'stale' ELSE 'malformed' END"
)
COVERAGE = SQL(
    "SELECT " + STATE.string + " AS state, count(*) FROM {table} GROUP BY state"
)
COUNT_USERS = SQL("SELECT count(*) FROM users")
