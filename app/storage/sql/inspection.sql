-- name: lost_triggers
-- Tables whose writes are not recorded: a trigger of migration 0004 is missing, or off.
-- tgenabled: A fires always, O for everyone but replication.
SELECT e.name, e.relation::text, wanted.name
FROM recommender.entity AS e
CROSS JOIN (VALUES ('recommender_written'), ('recommender_truncated')) AS wanted (name)
WHERE NOT EXISTS (
    SELECT FROM pg_trigger AS t
    WHERE t.tgrelid = e.relation AND t.tgname = wanted.name AND t.tgenabled IN ('O', 'A')
)
ORDER BY e.name, wanted.name;

-- name: present
-- Those of our tables and indexes that are there; an index must be whole.
SELECT c.relname FROM pg_class AS c
LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
WHERE c.relnamespace = to_regnamespace('recommender') AND c.relname = ANY (%(names)s)
    AND coalesce(i.indisvalid, true);

-- name: exposed
-- Tables that the outside can read: `public` is everyone; the other two are the roles of
-- Supabase's public REST API.
SELECT c.oid::regclass::text, reader
FROM pg_class AS c
CROSS JOIN (
    SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated')
    UNION ALL SELECT 'public'
) AS readers (reader)
WHERE (c.oid IN (SELECT relation FROM recommender.entity)
        OR c.relnamespace = to_regnamespace('recommender') AND c.relkind = 'r')
    AND NOT c.relrowsecurity
    AND (has_table_privilege(reader, c.oid, 'SELECT')
        OR has_any_column_privilege(reader, c.oid, 'SELECT'))
ORDER BY 1, 2;

-- name: limits
-- What the server allows, and whom it takes us for.
SELECT
    current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
    rolname, rolsuper
FROM pg_roles WHERE rolname = current_user;

-- name: text_bytes
-- The average length of a job's text, from a thousand of them.
SELECT coalesce(avg(octet_length(skills)), 0)::int
FROM (SELECT recommender.as_text(skills) AS skills FROM {table} LIMIT 1000) AS sample;
