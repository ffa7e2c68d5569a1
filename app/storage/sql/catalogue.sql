-- name: columns
-- The team's tables as migration 0004 recorded them, whether other servers hold some of
-- the rows, and the columns, with the base type of a domain. No columns if the table was
-- dropped.
SELECT
    e.name, n.nspname, c.relname,
    c.relkind = 'p' AND EXISTS (
        SELECT 1 FROM pg_partition_tree(c.oid) AS p
        JOIN pg_class AS part ON part.oid = p.relid WHERE part.relkind = 'f'
    ),
    a.attname,
    format_type(
        CASE WHEN t.typtype <> 'd' THEN t.oid ELSE (
            WITH RECURSIVE base AS (
                SELECT t.typbasetype AS oid
                UNION ALL
                SELECT d.typbasetype FROM pg_type AS d JOIN base ON d.oid = base.oid
                WHERE d.typtype = 'd'
            )
            SELECT b.oid FROM base AS b JOIN pg_type AS d ON d.oid = b.oid
            WHERE d.typtype <> 'd'
        ) END, NULL),
    e.title_column
FROM recommender.entity AS e
LEFT JOIN pg_class AS c ON c.oid = e.relation
LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute AS a
    ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_type AS t ON t.oid = a.atttypid;

-- name: types
-- The types of the columns of the jobs, by name, in one row.
SELECT json_object_agg(c.column_name, c.type_name) AS types
FROM ({columns}) AS c (entity, schema, table_name, is_sharded, column_name, type_name)
WHERE c.entity = 'jobs' AND c.column_name IS NOT NULL;

-- name: vectors
-- The schema of pgvector, and the tables of vectors: one for each model; and what the
-- names of partitions of vectors, and of the jobs that they belong to, end with. No row
-- unless migrations/pgvector was applied.
SELECT n.nspname, array_agg(c.relname::text) AS tables, ARRAY(
    SELECT substr(p.relname, 1 + length('vectors_'))
    FROM pg_inherits AS i JOIN pg_class AS p ON p.oid = i.inhrelid
    WHERE i.inhparent = to_regclass('recommender.job_vector')
    ORDER BY length(p.relname), p.relname
) AS parts
FROM pg_extension AS e
JOIN pg_namespace AS n ON n.oid = e.extnamespace
JOIN pg_class AS c ON c.relnamespace = to_regnamespace('recommender')
    AND c.relkind IN ('r', 'p') AND c.relname LIKE 'job\_vector%'
WHERE e.extname = 'vector'
GROUP BY n.nspname;

-- name: is_served
-- Whether the migrations were applied for the table that a setting names.
SELECT e.relation::oid = to_regclass(%(table)s)::oid
FROM recommender.entity AS e WHERE e.name = %(entity)s;

-- name: title_column
SELECT title_column FROM recommender.entity WHERE name = 'jobs';

-- name: has_other_keys
-- Whether the type of the ids has changed since the state table was created.
SELECT format_type(a.atttypid, NULL)
    <> split_part(recommender.key_type(e.relation, {key}), ' ', 1)
FROM recommender.entity AS e
JOIN pg_attribute AS a ON a.attrelid = to_regclass({state}) AND a.attname = {key}
WHERE e.name = {entity};

-- name: doubled
-- An id that several jobs share, by an index.
SELECT job_id::text FROM recommender.job_state WHERE copies > 1 ORDER BY job_id LIMIT 1;
