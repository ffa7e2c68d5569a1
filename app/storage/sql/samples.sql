-- name: pages
-- How many pages of 8 KB hold the rows of a table of the team's and of its state, and
-- whether another server holds some of them.
SELECT
    (SELECT coalesce(sum(pg_relation_size(part.relid)), 0) / 8192 FROM (
        SELECT e.relation AS relid
        UNION SELECT p.relid FROM pg_partition_tree(e.relation) AS p
    ) AS part)::bigint,
    (SELECT pg_relation_size(to_regclass({quoted_state})) / 8192)::bigint,
    EXISTS (
        SELECT FROM pg_partition_tree(e.relation) AS p
        JOIN pg_class AS c ON c.oid = p.relid WHERE c.relkind = 'f'
    )
FROM recommender.entity AS e WHERE e.name = {entity};

-- name: embedded
-- Some random rows with what was made of their texts, and which model did.
SELECT
    s.{key}::text, recommender.as_text(t.skills), {embedding},
    coalesce({embedding_version}, {unnamed}), s.skill_ids
FROM (
    SELECT * FROM {state} AS s TABLESAMPLE SYSTEM (%(percent)s)
    WHERE state = 'embedded' AND {is_single}
    ORDER BY random() LIMIT %(rows)s
) AS s
JOIN {table} AS t ON t.{key} = s.{key};

-- name: without_row
-- Of some random states those whose row is gone.
SELECT s.{key}::text
FROM (
    SELECT {key} FROM {state} TABLESAMPLE SYSTEM (%(percent)s)
    WHERE state <> 'gone' LIMIT %(rows)s
) AS s
WHERE NOT EXISTS (SELECT 1 FROM {table} AS t WHERE t.{key} = s.{key})
ORDER BY s.{key} LIMIT 5;

-- name: without_state
-- Of some random rows those that nobody recorded. A user without a text has no state.
SELECT t.{key}::text
FROM (
    SELECT {key}, recommender.as_text(skills) AS skills
    FROM {table} TABLESAMPLE SYSTEM (%(percent)s)
    WHERE {key} IS NOT NULL LIMIT %(rows)s
) AS t
WHERE ({entity} = 'jobs' OR t.skills COLLATE "default" ~ '[^[:space:]]')
    AND NOT EXISTS (
        SELECT 1 FROM {state} AS s WHERE s.{key} = t.{key} AND s.state <> 'gone'
    )
ORDER BY t.{key} LIMIT 5;

-- name: doubled_jobs
-- Ids of more than one job; an index answers.
SELECT s.job_id::text FROM recommender.job_state AS s WHERE s.copies > 1
ORDER BY s.job_id LIMIT 5;

-- name: doubled_users
-- Of some random users those whose id another one has.
SELECT u.user_id::text FROM {table} AS u
WHERE u.user_id IN (
    SELECT user_id FROM {table} TABLESAMPLE SYSTEM (%(percent)s)
    WHERE user_id IS NOT NULL LIMIT %(rows)s
)
GROUP BY u.user_id HAVING count(*) > 1
ORDER BY u.user_id LIMIT 5;

-- name: states
-- Rows by state in a sample of the states.
SELECT state::text, count(*) FROM {state} TABLESAMPLE SYSTEM (%(percent)s)
WHERE state <> 'gone' GROUP BY state;

-- name: rows
-- Rows in a sample of the team's table.
SELECT count(*) FROM {table} TABLESAMPLE SYSTEM (%(percent)s);

-- name: unfinished
-- Rows by state that are to be done, at most so many: the partial index finds them.
SELECT state::text, count(*) FROM (
    SELECT s.state FROM {state} AS s
    WHERE (state IN ('pending', 'stale', 'malformed', 'quarantined')
            OR state = 'embedded' AND skill_ids IS NULL)
        AND state <> 'embedded'
    LIMIT %(rows)s
) AS unfinished GROUP BY state;

-- name: skills
-- The skills with these ids.
SELECT skill_id, skill FROM recommender.skill WHERE skill_id = ANY (%(ids)s);
