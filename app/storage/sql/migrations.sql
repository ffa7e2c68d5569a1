-- name: recorded
-- The applied files. An earlier version of the record has no checksums.
SELECT name, to_jsonb(m) ->> 'checksum' FROM recommender.migration AS m;

-- name: record
-- Note files as applied.
WITH given AS (
    SELECT * FROM unnest(%(names)s::text[], %(checksums)s::text[]) AS f (name, checksum)
), changed AS (
    UPDATE recommender.migration AS m
    SET checksum = given.checksum, applied_at = clock_timestamp()
    FROM given
    WHERE given.name = m.name AND given.checksum IS DISTINCT FROM m.checksum
)
INSERT INTO recommender.migration (name, checksum)
SELECT name, checksum FROM given
WHERE name NOT IN (SELECT name FROM recommender.migration);

-- name: configure
-- What the files read, for this transaction. A database or a role may have defaults that
-- end a long statement, or read strings and write names otherwise.
SELECT
    set_config('lock_timeout', %(lock_timeout)s, true),
    set_config('statement_timeout', '0', true),
    set_config('idle_in_transaction_session_timeout', '0', true),
    (SELECT set_config(name, '0', true) FROM pg_settings
     WHERE name = 'transaction_timeout'),
    set_config('standard_conforming_strings', 'on', true),
    set_config('quote_all_identifiers', 'off', true),
    set_config('recommender.jobs_table', %(jobs)s, true),
    set_config('recommender.users_table', %(users)s, true),
    set_config('recommender.job_columns', %(job_columns)s, true),
    set_config('recommender.title_column', %(title_column)s, true);

-- name: blocker
-- Who holds a lock on one of the tables; never what they run: it may hold texts.
SELECT
    c.oid::regclass::text, a.pid, a.usename, a.application_name, a.state,
    extract(epoch FROM clock_timestamp() - a.xact_start)::int
FROM pg_locks AS l
JOIN pg_class AS c ON c.oid = l.relation
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.granted AND a.pid <> pg_backend_pid() AND c.relkind IN ('r', 'p')
    AND (c.oid IN (to_regclass(%(jobs)s), to_regclass(%(users)s))
        OR c.relnamespace = to_regnamespace('recommender'))
ORDER BY a.xact_start
LIMIT 1;

-- name: key_index
-- The table of jobs, whether it is no partitioned one, and whether an index of it leads
-- with job_id.
SELECT
    n.nspname, c.relname, c.relkind = 'r', EXISTS (
        SELECT 1 FROM pg_index AS i
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL
            AND a.attname = 'job_id'
    )
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass(%(jobs)s);
