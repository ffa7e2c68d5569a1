-- name: pages
-- Pages of 8 KB of a team's table and of its state table, and whether another server
-- holds some of the rows.
SELECT
    (SELECT coalesce(sum(pg_relation_size(part.relid)), 0) / 8192 FROM (
        SELECT e.relation AS relid
        UNION SELECT p.relid FROM pg_partition_tree(e.relation) AS p
    ) AS part)::bigint,
    (SELECT pg_relation_size(to_regclass({quoted_state})) / 8192)::bigint,
    EXISTS (
        SELECT 1 FROM pg_partition_tree(e.relation) AS p
        JOIN pg_class AS c ON c.oid = p.relid WHERE c.relkind = 'f'
    )
FROM recommender.entity AS e WHERE e.name = {entity};

-- name: embedded
-- Random embedded rows, with their embeddings, if they are sound, and skill ids.
SELECT s.{key}::text, recommender.as_text(t.skills), {title}, {stored}, s.skill_ids
FROM (
    SELECT * FROM {state} AS s TABLESAMPLE SYSTEM (%(percent)s)
    WHERE state = 'embedded' AND {is_single}
    ORDER BY random() LIMIT %(rows)s
) AS s
JOIN {table} AS t ON t.{key} = s.{key};

-- name: without_row
-- Ids of random states whose row was deleted.
SELECT s.{key}::text
FROM (
    SELECT {key} FROM {state} TABLESAMPLE SYSTEM (%(percent)s)
    WHERE state <> 'gone' LIMIT %(rows)s
) AS s
WHERE NOT EXISTS (SELECT 1 FROM {table} AS t WHERE t.{key} = s.{key})
ORDER BY s.{key} LIMIT 5;

-- name: without_state
-- Ids of random rows without a state. A user without a text needs none.
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
    AND NOT EXISTS (SELECT 1 FROM {notes} AS n WHERE n.id = t.{key}::text)
ORDER BY t.{key} LIMIT 5;

-- name: doubled_jobs
-- Ids of more than one job, from an index; of jobs that are noted, from the table.
SELECT s.job_id::text FROM (
    SELECT job_id::{id_type} FROM recommender.job_state WHERE copies > 1
    UNION
    SELECT t.{key}::{id_type} FROM {table} AS t
    WHERE t.{key} IN (SELECT id::{id_type} FROM {notes} LIMIT 10000)
    GROUP BY t.{key} HAVING count(*) > 1
) AS s
ORDER BY s.job_id LIMIT 5;

-- name: doubled_users
-- Ids of random users that share theirs with another user.
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
-- Unfinished rows by state, up to a limit; the partial index finds them.
SELECT state, count(*) FROM (
    SELECT s.state::text FROM {state} AS s
    WHERE (state IN ('pending', 'stale', 'malformed', 'quarantined')
            OR state = 'embedded' AND skill_ids IS NULL)
        AND state <> 'embedded'
    UNION ALL SELECT 'pending' FROM {notes}
    LIMIT %(rows)s
) AS unfinished GROUP BY state;

-- name: skills
-- The skills with these ids.
SELECT skill_id, skill FROM recommender.skill WHERE skill_id = ANY (%(ids)s);
