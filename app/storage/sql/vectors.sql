-- name: through_index
-- Settings of the transaction, sent in front of the statement that needs them.
-- `iterative`: off or relaxed_order. The statement sorts rows that come late;
-- strict_order would drop them. Postgres expects that hardly any row meets the condition
-- of a sound embedding: it would copy all jobs into memory, and compare each of the
-- nearest with all of them.
SET LOCAL hnsw.ef_search = {ef_search};
SET LOCAL hnsw.iterative_scan = {iterative};
SET LOCAL hnsw.max_scan_tuples = {max_scan_tuples};
SET LOCAL enable_indexscan = on;
SET LOCAL enable_material = off;
SET LOCAL enable_hashjoin = {may_sort};
SET LOCAL enable_mergejoin = {may_sort};
SET LOCAL enable_sort = {may_sort};
SET LOCAL enable_seqscan = {may_sort}

-- name: without_index
-- Only an index scan returns rows in the order of the index of vectors; other indexes,
-- which a filter needs, can be read by bitmap scans.
SET LOCAL enable_indexscan = off;
SET LOCAL enable_material = on;
SET LOCAL enable_hashjoin = on;
SET LOCAL enable_mergejoin = on;
SET LOCAL enable_sort = on;
SET LOCAL enable_seqscan = on

-- name: vectorless
-- A condition on {embeddings}: the job has no vector yet. A partial index answers.
{embeddings}.{key} IN (
    SELECT s.job_id FROM recommender.job_state AS s
    WHERE s.state = 'embedded' AND NOT s.has_vector AND s.copies = 1
) AND {sound};

-- name: vectorless_in_parts
-- The same for jobs on other servers: the ids are sent there; if all jobs have a vector,
-- nothing is sent.
(
    SELECT EXISTS (
        SELECT 1 FROM recommender.job_state AS s
        WHERE s.state = 'embedded' AND NOT s.has_vector AND s.copies = 1
    )
) AND {embeddings}.{key} = ANY (ARRAY(
    SELECT s.job_id::{id_type} FROM recommender.job_state AS s
    WHERE s.state = 'embedded' AND NOT s.has_vector AND s.copies = 1
)) AND {sound};

-- name: candidates
-- For each query its `size` nearest rows by half precision, and of these the rows that
-- can be among the best `wanted`: those within twice the error of the last of them; of
-- equal embeddings only the first `wanted`. The spare field holds 4 * query, plus 1 if
-- there were `size` rows, plus 2 if the worst of them can be among the best, and so can
-- others beyond it; -1 for rows without a vector, which belong to every query. Columns of
-- our table have names here that no column of the team has.
SELECT {key}::{id_type}, (-1)::int2, embedding FROM {embeddings}
WHERE {vectorless}{matching}
UNION ALL
SELECT
    {key}::{id_type},
    (4 * question + 2 * (worst <= bar + slack)::int + (seen >= size)::int)::int2,
    embedding
FROM (
    SELECT
        job.*,
        count(*) OVER mine AS seen, max(distance) OVER mine AS worst,
        coalesce(nth_value(distance, wanted) OVER mine, 'infinity') AS bar,
        row_number() OVER (
            PARTITION BY question, distance, embedding
            ORDER BY {key}::{id_type}{bytewise}
        ) AS copy
    FROM ({nearest}) AS job
    WINDOW mine AS (
        PARTITION BY question ORDER BY distance
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    )
) AS near
WHERE distance <= bar + slack AND copy <= wanted;

-- name: nearest
-- A part of `candidates`.
SELECT asked.*, job.*
FROM (VALUES {asked}) AS asked
    (question, query, size, wanted, slack, excluded, beyond)
CROSS JOIN LATERAL (
    SELECT
        {embeddings}.{key}, embedding,
        own.own_vector OPERATOR({vectors}.<#>) asked.query AS distance
    FROM {vector_table} AS own (own_id, own_vector)
    JOIN {embeddings} ON {embeddings}.{key} = own.own_id
    WHERE own.own_vector IS NOT NULL AND {sound}{matching}{each}
    ORDER BY own.own_vector OPERATOR({vectors}.<#>) asked.query
    {limited}
) AS job

-- name: nearest_in_parts
-- The same over vectors on several servers (docs/shards.md). Each server orders and limits
-- by its index; only the nearest of all are read from the jobs, by one array of ids. The
-- order is computed here, so that Postgres does not merge the servers' answers and they
-- search at the same time.
WITH nearest AS MATERIALIZED (
    SELECT asked.*, found.own_id, found.distance
    FROM (VALUES {asked}) AS asked
        (question, query, size, wanted, slack, excluded, beyond)
    CROSS JOIN LATERAL (
        SELECT * FROM ({parts}) AS each_part
        ORDER BY each_part.distance + 0 {limited}
    ) AS found
)
SELECT nearest.*, {embeddings}.{key}, embedding
FROM nearest
JOIN {embeddings} ON {embeddings}.{key} = nearest.own_id
    AND {embeddings}.{key} = ANY (ARRAY(SELECT all_of_them.own_id FROM nearest AS all_of_them))
WHERE {sound}

-- name: nearest_in_part
-- A part of `nearest_in_parts`. postgres_fdw sends a LIMIT only if it is a number,
-- and if statistics say that there are more rows.
(
    SELECT
        own.own_id, own.own_vector OPERATOR({vectors}.<#>) asked.query AS distance
    FROM {part} AS own (own_id, own_vector){jobs}
    WHERE own.own_vector IS NOT NULL{matching}{each}
    ORDER BY (own.own_vector OPERATOR({vectors}.<#>) asked.query){past_index}
    LIMIT {size}
)

-- name: jobs_of_part
-- For conditions on the jobs of a partition.
 JOIN {part} AS job ON job.{key} = own.own_id

-- name: count_in_part
-- The number of vectors in a partition; its server counts.
(SELECT count(*) FROM {part} AS own (own_id, own_vector){jobs}
 WHERE own.own_vector IS NOT NULL{matching})

-- name: count_comparable
-- How many rows a scan would compare. Indexes answer.
SELECT
    {with_vectors}
    + (SELECT count(*) FROM recommender.job_state AS s
       WHERE s.state = 'embedded' AND NOT s.has_vector AND s.copies = 1);

-- name: count_comparable_vectors
-- A part of it.
(SELECT count(*) FROM {vector_table} AS v WHERE v.vector IS NOT NULL)

-- name: count_comparable_matching
-- The same with filters, which are on the team's table.
SELECT
    {with_vectors}
    + (SELECT count(*) FROM {embeddings} WHERE {vectorless}{matching});

-- name: count_comparable_matching_vectors
(SELECT count(*) FROM {table} WHERE {table}.{key} IN (
    SELECT v.job_id FROM {vector_table} AS v WHERE v.vector IS NOT NULL
){conditions})

-- name: fills_vectors
-- Whether there is a table of vectors by the model, and it is the one in use.
SELECT to_regclass({vector_table}) IS NOT NULL
    AND recommender.model_in_use() = {version};

-- name: count_vectorless
SELECT count(*) FROM recommender.job_state AS s
WHERE s.state = 'embedded' AND NOT s.has_vector AND s.copies = 1;

-- name: count_vectorless_beside
SELECT count(*) FROM recommender.job_state AS s WHERE {is_missing};

-- name: hold_model
-- The model in use, which nobody switches before the transaction ends.
SELECT embedding_version FROM recommender.identity FOR SHARE;

-- name: is_vectorless
-- A part of others, for the model in use.
s.state = 'embedded' AND NOT s.has_vector AND s.copies = 1

-- name: is_vectorless_beside
-- The same for another model, of which states say nothing.
s.copies = 1 AND EXISTS (
    SELECT 1 FROM {embeddings} WHERE {embeddings}.{key} = s.job_id AND {sound}
) AND NOT EXISTS (SELECT 1 FROM {vector_table} AS v WHERE v.job_id = s.job_id)

-- name: take_vectorless
-- Locks the states of the next rows. The next statement reads the embeddings, and nobody
-- can record another one before the transaction ends.
SELECT s.job_id::{id_type} FROM recommender.job_state AS s
WHERE {is_missing} AND {after}
ORDER BY s.job_id
LIMIT %(limit)s
FOR NO KEY UPDATE OF s SKIP LOCKED;

-- name: embeddings_of
SELECT {key}::{id_type}, embedding FROM {embeddings}
WHERE {key} = ANY (%(ids)s::{id_type}[]) AND {sound};

-- name: store_vectors
-- NULL for an embedding without a direction: it is not read again.
INSERT INTO {vector_table} AS v (job_id, vector)
SELECT id, vector::{vectors}.halfvec
FROM unnest(%(ids)s::{id_type}[], %(vectors)s::text[]) AS fresh (id, vector)
ON CONFLICT (job_id) DO UPDATE SET vector = excluded.vector;

-- name: store_vectors_in_parts
-- Vectors on other servers, where no conflict can be resolved: `drop_vectors` goes before.
INSERT INTO {vector_table} (job_id, vector)
SELECT id, vector::{vectors}.halfvec
FROM unnest(%(ids)s::{id_type}[], %(vectors)s::text[]) AS fresh (id, vector);

-- name: drop_vectors
DELETE FROM {vector_table} WHERE job_id = ANY (%(ids)s::{id_type}[]);

-- name: record_vectors
UPDATE recommender.job_state AS s SET has_vector = true
WHERE s.job_id = ANY (%(ids)s::{id_type}[]);

-- name: index_is_valid
-- Whether each table of a model's vectors in this database has its index.
SELECT to_regclass({vector_table}) IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM (
        SELECT relid FROM pg_partition_tree(to_regclass({vector_table}))
        UNION SELECT to_regclass({vector_table})
    ) AS own
    JOIN pg_class AS c ON c.oid = own.relid AND c.relkind = 'r'
    WHERE NOT EXISTS (
        SELECT 1 FROM pg_index AS x
        JOIN pg_class AS i ON i.oid = x.indexrelid
        WHERE x.indrelid = c.oid AND x.indisvalid AND i.relname = c.relname || '_hnsw_idx'
    )
);

-- name: build_index
-- Beside the traffic; the team's table is not touched.
CREATE INDEX CONCURRENTLY {index} ON {vector_table}
USING hnsw (vector {vectors}.halfvec_ip_ops)
WITH (m = {m}, ef_construction = {ef_construction});
