"""The SQL of ranking inside the database, over the column of migrations/pgvector."""

from psycopg2.sql import SQL

from app.storage.queries import CURRENT, RIGHT_LENGTH

SOUND = CURRENT.string + " AND " + RIGHT_LENGTH.string

INDEX = "skill_job1_embedding_vec_idx"

# --- which rows --------------------------------------------------------------

# Word for word the conditions of the indexes of migration 1001 and of the index of
# vectors. Length 0 stands for an embedding that points nowhere, 1 for all others.
COMPARABLE = SQL("l2_norm(embedding_vec) > 0.5 AND " + SOUND)
VECTORLESS = SQL("embedding_vec IS NULL AND " + SOUND)

STREAM_VECTORLESS = SQL(
    "SELECT job_id::{id_type}, 0::int2, embedding FROM skill_job1"
    " WHERE {vectorless} AND job_id IS NOT NULL{matching}"
)
COUNT_COMPARABLE = SQL(
    "SELECT (SELECT count(*) FROM skill_job1"
    " WHERE {comparable} AND job_id IS NOT NULL{matching})"
    " + (SELECT count(*) FROM skill_job1"
    " WHERE {vectorless} AND job_id IS NOT NULL{matching})"
)

# --- candidates --------------------------------------------------------------

# Settings of one transaction, sent in front of the statement that they are for.
# `iterative`: off, or relaxed_order: what comes late is sorted in again here, and
# strict_order would throw it away.
THROUGH_INDEX = SQL(
    "SET LOCAL hnsw.ef_search = {ef_search};"
    " SET LOCAL hnsw.iterative_scan = {iterative};"
    " SET LOCAL hnsw.max_scan_tuples = {max_scan_tuples};"
    " SET LOCAL enable_indexscan = on;"
    " SET LOCAL enable_sort = {may_sort}; SET LOCAL enable_seqscan = {may_sort}; "
)
# Only index scans give the order of the index of vectors; those of other indexes
# that a filter needs can be bitmaps.
WITHOUT_INDEX = SQL(
    "SET LOCAL enable_indexscan = off;"
    " SET LOCAL enable_sort = on; SET LOCAL enable_seqscan = on; "
)

# Per question its `size` nearest rows by half precision, and of these the ones that
# may belong to the best `wanted`: within twice the error of the last of them; of equal
# embeddings only the first `wanted`, and the bytes once, with the first of them.
# `full`: there were `size` rows; `last`: the worst of them may belong as well, and so
# others beyond it. `shown`: what an answer shows of each, so that nobody asks again.
# One row of question -1 says that rows without a vector exist.
CANDIDATES = SQL(
    "SELECT -1::int4, false, false, NULL::{id_type}, NULL::bytea, NULL::text"
    " WHERE EXISTS (SELECT FROM skill_job1 WHERE {vectorless}{matching})"
    " UNION ALL "
    "(SELECT question, seen >= size, worst <= bar + slack, job_id::{id_type},"
    " CASE WHEN copy = 1 THEN embedding END, {shown}"
    " FROM (SELECT asked.*, job.*,"
    " count(*) OVER mine AS seen, max(distance) OVER mine AS worst,"
    " coalesce(nth_value(distance, wanted) OVER mine, 'infinity') AS bar,"
    " row_number() OVER (PARTITION BY question, distance, embedding"
    " ORDER BY job_id::{id_type}{bytewise}) AS copy"
    " FROM (VALUES {asked}) AS asked"
    " (question, query, size, wanted, slack, excluded, beyond)"
    " CROSS JOIN LATERAL ("
    "SELECT job_id, embedding, embedding_vec <#> asked.query AS distance,"
    " skills{columns} FROM skill_job1"
    " WHERE {comparable} AND job_id IS NOT NULL{matching}{each}"
    " ORDER BY embedding_vec <#> asked.query LIMIT asked.size) AS job"
    " WINDOW mine AS (PARTITION BY question ORDER BY distance"
    " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)"
    ") AS near WHERE distance <= bar + slack AND copy <= wanted"
    " ORDER BY question, distance, embedding, copy)"
)

SHOWN = SQL("json_build_array(skills{values})::text")
NOT_SHOWN = SQL("NULL::text")

# What only some questions have.
NOT_EXCLUDED = SQL(" AND job_id <> ALL (asked.excluded)")
ON_A_LATER_PAGE = SQL(" AND embedding_vec <#> asked.query >= asked.beyond")

INDEX_IS_VALID = SQL(
    "SELECT coalesce((SELECT indisvalid FROM pg_index"
    " WHERE indexrelid = to_regclass({index})), false)"
)

# --- filling -----------------------------------------------------------------

COUNT_VECTORLESS = SQL(
    "SELECT count(*) FROM skill_job1 WHERE {vectorless} AND job_id IS NOT NULL"
)
TAKE_VECTORLESS = SQL(
    "SELECT job_id::{id_type}, embedding FROM skill_job1"
    " WHERE {vectorless} AND job_id IS NOT NULL AND {after}"
    " ORDER BY job_id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED"
)
AFTER = SQL("job_id > %(after)s::{id_type}")
STORE_VECTORS = SQL(
    "UPDATE skill_job1 AS job SET embedding_vec = fresh.vector"
    " FROM unnest(%(ids)s::{id_type}[], %(vectors)s::halfvec[]) AS fresh (id, vector)"
    " WHERE job.job_id = fresh.id"
)
