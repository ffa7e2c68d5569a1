-- name: server
-- The server's version, as a number and as text.
SELECT current_setting('server_version_num')::int, current_setting('server_version');

-- name: triggers
-- Our triggers that are missing or disabled, or that call a foreign function. tgenabled:
-- A fires always, O not for replicated rows. Each partition has its own triggers.
WITH wanted AS (
    SELECT e.relation AS served, part.relid, listed.trigger AS name, e.name AS entity
    FROM recommender.entity AS e
    JOIN (VALUES ('recommender_written', true), ('recommender_truncated', false),
            ('recommender_titled', true)) AS listed (trigger, is_for_rows)
        ON listed.trigger <> 'recommender_titled' OR e.title_column IS NOT NULL
    CROSS JOIN LATERAL (
        SELECT e.relation AS relid
        UNION SELECT p.relid FROM pg_partition_tree(e.relation) AS p
        WHERE listed.is_for_rows
    ) AS part
), ours AS (
    SELECT c.oid AS relid, name, is_always, 'ours' AS owner
    FROM (VALUES
        ('migration', 'a_keep_own_row', true), ('entity', 'a_keep_own_row', true),
        ('identity', 'a_keep_own_row', true), ('synonym', 'a_keep_own_row', true),
        ('model', 'a_keep_own_row', true), ('skill_embedding', 'a_keep_own_row', true),
        ('job_embedding', 'a_keep_own_row', true),
        ('user_embedding', 'a_keep_own_row', true),
        ('skill_vocabulary', 'a_keep_own_row', true),
        ('job_state', 'a_keep_own_row', true), ('user_state', 'a_keep_own_row', true),
        ('skill', 'a_keep_own_row', false), ('skill', 'next_revision', false),
        ('skill', 'set_revision', false), ('skill', 'new_vocabulary', false),
        ('skill_embedding', 'next_revision', false),
        ('skill_embedding', 'set_revision', false),
        ('synonym', 'a_as_key', false), ('synonym', 'inserted', false),
        ('synonym', 'updated', false), ('synonym', 'deleted', false),
        ('synonym', 'truncated', false)
    ) AS listed (relation, name, is_always)
    JOIN pg_class AS c ON c.relname = listed.relation
        AND c.relnamespace = to_regnamespace('recommender')
    UNION ALL
    SELECT to_regclass(relation), name, false, 'vectors'
    FROM (VALUES ('recommender.job_state', 'forget_vector'),
        ('recommender.job_state', 'forget_vector_of_deleted'),
        ('recommender.job_embedding', 'forget_vector'),
        ('recommender.job_embedding', 'forget_vectors')
    ) AS listed (relation, name)
    WHERE EXISTS (SELECT 1 FROM pg_class
        WHERE relnamespace = to_regnamespace('recommender') AND relkind = 'r'
            AND relname LIKE 'job\_vector%')
)
SELECT
    wanted.entity, wanted.relid::regclass::text, quote_ident(wanted.name), CASE
        WHEN f.oid IS NOT NULL AND f.pronamespace <> to_regnamespace('recommender')
            THEN 'foreign'
        WHEN wanted.relid <> wanted.served THEN 'off in a partition'
        WHEN t.tgenabled = 'O' THEN 'not always'
        ELSE 'lost'
    END
FROM wanted
LEFT JOIN pg_trigger AS t ON t.tgrelid = wanted.relid AND t.tgname = wanted.name
LEFT JOIN pg_proc AS f ON f.oid = t.tgfoid
WHERE t.tgenabled IS DISTINCT FROM 'A'
    OR f.pronamespace <> to_regnamespace('recommender')
UNION ALL
SELECT ours.owner, ours.relid::regclass::text, ours.name, 'lost'
FROM ours
LEFT JOIN pg_trigger AS t ON t.tgrelid = ours.relid AND t.tgname = ours.name
WHERE t.tgenabled IS NULL OR t.tgenabled NOT IN ('A', 'O')
    OR ours.is_always AND t.tgenabled <> 'A'
ORDER BY 1, 2, 3;

-- name: present
-- Our tables, indexes and functions that exist; an index must be valid.
SELECT c.relname FROM pg_class AS c
LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
WHERE c.relnamespace = to_regnamespace('recommender') AND c.relname = ANY (%(names)s)
    AND coalesce(i.indisvalid, true)
UNION
SELECT p.proname FROM pg_proc AS p
WHERE p.pronamespace = to_regnamespace('recommender') AND p.proname = ANY (%(names)s);

-- name: keys
-- The team's tables, and whether an index usable for look-ups starts with the id.
SELECT
    e.name, e.relation::regclass::text, quote_ident(a.attname), c.relkind = 'p',
    EXISTS (
        SELECT 1 FROM pg_index AS i
        JOIN pg_class AS x ON x.oid = i.indexrelid
        JOIN pg_am AS am ON am.oid = x.relam
        WHERE i.indrelid = c.oid AND i.indkey[0] = a.attnum AND i.indisvalid
            AND i.indpred IS NULL AND am.amname IN ('btree', 'hash')
            AND i.indcollation[0] = a.attcollation
    )
FROM recommender.entity AS e
JOIN pg_class AS c ON c.oid = e.relation
JOIN pg_attribute AS a ON a.attrelid = c.oid AND NOT a.attisdropped
    AND a.attname = CASE e.name WHEN 'jobs' THEN 'job_id' ELSE 'user_id' END
ORDER BY e.name;

-- name: sizes
-- Bytes on disk, partitions included: the rows, and the total with indexes and TOAST;
-- then the same for our schema.
SELECT
    e.relation::regclass::text,
    sum(pg_relation_size(part.relid))::bigint,
    sum(pg_total_relation_size(part.relid))::bigint
FROM recommender.entity AS e
CROSS JOIN LATERAL (
    SELECT e.relation AS relid
    UNION SELECT p.relid FROM pg_partition_tree(e.relation) AS p
) AS part
GROUP BY e.name, e.relation
UNION ALL
SELECT
    'recommender', sum(pg_relation_size(oid))::bigint,
    sum(pg_total_relation_size(oid))::bigint
FROM pg_class
WHERE relnamespace = to_regnamespace('recommender') AND relkind = 'r';

-- name: identity
-- Whether this database is a copy that has not been adopted, and the current model.
SELECT place <> recommender.place(), embedding_version FROM recommender.identity;

-- name: limits
-- The limit of connections, those in use, and our role. Of other roles' sessions an
-- ordinary role sees only the database.
SELECT
    current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int,
    (SELECT count(*) FROM pg_stat_activity
     WHERE coalesce(backend_type = 'client backend', datid IS NOT NULL)),
    quote_ident(rolname), rolsuper
FROM pg_roles WHERE rolname = current_user;

-- name: text_bytes
-- The average length of a job's text, from a sample of 1,000.
SELECT coalesce(avg(octet_length(skills)), 0)::int
FROM (SELECT recommender.as_text(skills) AS skills FROM {table} LIMIT 1000) AS sample;
