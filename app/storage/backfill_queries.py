"""The SQL of the backfill: claims, stores, failures, leases."""

# ruff: noqa: S608  (the pieces put together here are constants of this package)

from psycopg2.sql import SQL

from app.storage.queries import QUARANTINED, UNEMBEDDED

# --- claims ------------------------------------------------------------------

# Claiming takes a few milliseconds and happens one worker at a time: a statement of
# its own before CLAIM, which then sees every claim made so far. The lock ends with
# the transaction, so it holds behind a pooler too.
ONE_AT_A_TIME = SQL("SELECT pg_advisory_xact_lock(hashtext('embedding_claim'), 0)")

DROP_EXPIRED = SQL("DELETE FROM embedding_claim WHERE expires_at <= clock_timestamp()")

# Keyset paging: OFFSET would read all skipped rows again for every page. A row that
# an editor has locked is about to change, and is left for later.
CLAIM = SQL(
    "WITH next AS ("
    " SELECT {key} AS id, skills::text AS skills FROM {table} WHERE "
    + UNEMBEDDED.string
    + " AND {key} IS NOT NULL AND {after}"
    " AND {key}::text NOT IN"
    " (SELECT unnest(row_ids) FROM embedding_claim WHERE table_name = {name})"
    " AND NOT "
    + QUARANTINED.string
    + " ORDER BY {key} LIMIT %(limit)s FOR NO KEY UPDATE OF {table} SKIP LOCKED"
    "), claim AS ("
    " INSERT INTO embedding_claim (claim_id, table_name, row_ids, expires_at)"
    " SELECT %(claim)s::uuid, {name}, array_agg(id::text),"
    " clock_timestamp() + make_interval(secs => %(lease_s)s)"
    " FROM next HAVING count(*) > 0"
    ") SELECT id::{id_type}, skills FROM next ORDER BY next.id"
)
AFTER = SQL("{key} > %(after)s::{id_type}")
FROM_THE_START = SQL("true")

ANY_UNEMBEDDED = SQL(
    "SELECT EXISTS (SELECT FROM {table} WHERE " + UNEMBEDDED.string + ")"
)

RENEW = SQL(
    "UPDATE embedding_claim"
    " SET expires_at = clock_timestamp() + make_interval(secs => %(lease_s)s)"
    " WHERE claim_id = %(claim)s::uuid"
)
RELEASE = SQL("DELETE FROM embedding_claim WHERE claim_id = %(claim)s::uuid")

# Expired ones too: the next claim drops them and takes their rows.
ANY_CLAIMED = SQL(
    "SELECT EXISTS (SELECT FROM embedding_claim WHERE table_name = {name})"
)

# --- storing -----------------------------------------------------------------

# The claim is locked against a worker that finds it expired: whoever lost the claim
# stores nothing.
HOLD = SQL(
    "SELECT claim_id FROM embedding_claim WHERE claim_id = %(claim)s::uuid FOR UPDATE"
)

# Compare-and-set on the text that was embedded: a row edited meanwhile matches
# nothing here and waits with its new text. SKIP LOCKED: a store that never waits for
# a row cannot be part of a deadlock, whatever order an editor takes its rows in.
STORE = SQL(
    "WITH held AS ({hold}), fresh AS ("
    " SELECT * FROM unnest("
    "%(ids)s::{id_type}[], %(texts)s::text[], %(embeddings)s::bytea[]{vectors})"
    " AS fresh (id, skills, embedding{vector}) WHERE EXISTS (SELECT FROM held)"
    "), free AS ("
    " SELECT fresh.* FROM {table} AS job JOIN fresh ON job.{key} = fresh.id"
    ' AND job.skills::text COLLATE "C" = fresh.skills COLLATE "C"'
    " FOR NO KEY UPDATE OF job SKIP LOCKED"
    "), stored AS ("
    " UPDATE {table} AS job"
    " SET embedding = free.embedding, embedding_version = %(version)s{and_vector}"
    " FROM free"
    " WHERE job.{key} = free.id"
    ' AND job.skills::text COLLATE "C" = free.skills COLLATE "C"'
    " RETURNING job.{key} AS id"
    "), forgiven AS ("
    " DELETE FROM embedding_failure WHERE table_name = {name}"
    " AND row_id IN (SELECT id::text FROM stored)"
    ") SELECT (SELECT count(*) FROM held), array(SELECT id::text FROM stored),"
    " array(SELECT id::text FROM free EXCEPT SELECT id::text FROM stored)"
)

# What STORE has in addition where migrations/pgvector was applied: both columns
# change in one statement, so none is ever without the other.
STORED_VECTORS = {
    "vectors": SQL(", %(vectors)s::halfvec[]"),
    "vector": SQL(", embedding_vec"),
    "and_vector": SQL(", embedding_vec = free.embedding_vec"),
}

# --- failures ----------------------------------------------------------------

ADD_FAILURE = SQL(
    "INSERT INTO embedding_failure"
    " (table_name, row_id, text_sha256, reason, failed_at)"
    " VALUES ({name}, %(id)s::text, sha256(convert_to(%(text)s, 'UTF8')),"
    " %(reason)s, clock_timestamp())"
    " ON CONFLICT (table_name, row_id) DO UPDATE SET"
    " text_sha256 = excluded.text_sha256, reason = excluded.reason,"
    " failed_at = excluded.failed_at"
)
FAILURES = SQL(
    "SELECT row_id, reason, failed_at FROM embedding_failure JOIN {table}"
    " ON {key} = row_id::{id_type}"
    " AND text_sha256 = sha256(convert_to(skills, 'UTF8'))"
    " WHERE table_name = {name} ORDER BY {key}"
)
FORGET_FAILURES = SQL("DELETE FROM embedding_failure WHERE table_name = {name}")

# --- the service's turn ------------------------------------------------------

TAKE_LEASE = SQL(
    "INSERT INTO embedding_lease AS lease (name, holder, expires_at)"
    " VALUES (%(name)s, %(holder)s::uuid,"
    " clock_timestamp() + make_interval(secs => %(lease_s)s))"
    " ON CONFLICT (name) DO UPDATE"
    " SET holder = excluded.holder, expires_at = excluded.expires_at"
    " WHERE lease.holder = excluded.holder OR lease.expires_at <= clock_timestamp()"
)
RELEASE_LEASE = SQL(
    "DELETE FROM embedding_lease WHERE name = %(name)s AND holder = %(holder)s::uuid"
)

LEASE_IS_TAKEN = SQL(
    "SELECT EXISTS (SELECT FROM embedding_lease WHERE name = %(name)s"
    " AND holder <> %(holder)s::uuid AND expires_at > clock_timestamp())"
)

# --- waking ------------------------------------------------------------------

LISTEN = SQL("LISTEN embedding_wanted")
