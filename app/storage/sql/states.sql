-- name: coverage
-- Rows by state, from the narrow table; and those noted.
SELECT state, count(*) FROM (
    SELECT state::text FROM {state} WHERE state <> 'gone' UNION ALL {noted}
) AS found
GROUP BY state;

-- name: noted
-- A part of others: the states that noted rows will have; of very many, as if each had
-- a text.
SELECT CASE WHEN recommender.as_text(t.skills) COLLATE "default" ~ '[^[:space:]]'
    THEN 'pending' ELSE 'blank' END AS state
FROM {table} AS t
WHERE (SELECT pg_relation_size({notes_name})) < 1000000
    AND t.{key} IN (SELECT id::{id_type} FROM {notes})
    AND NOT EXISTS (
        SELECT 1 FROM {state} AS s WHERE s.{key} = t.{key} AND s.state <> 'gone'
    )
UNION ALL
SELECT 'pending' FROM {notes}
WHERE (SELECT pg_relation_size({notes_name})) >= 1000000

-- name: count_users_without_text
-- They have no state. Of a large table as the statistics have it.
SELECT greatest(0, CASE
    WHEN c.relkind = 'r' AND pg_relation_size(c.oid) < 1000000
        THEN (SELECT count(*) FROM {table})
    ELSE c.reltuples::bigint
END - (SELECT count(*) FROM recommender.user_state)
    - (SELECT count(*) FROM ({noted}) AS noted WHERE state = 'pending'))
FROM recommender.entity AS e JOIN pg_class AS c ON c.oid = e.relation
WHERE e.name = 'users';

-- name: count_unembedded
-- Rows with a text and no sound embedding, those in quarantine among them. The partial
-- index job_state_unfinished_idx answers.
SELECT (
    SELECT count(*) FROM {state} AS s
    WHERE (state IN ('pending', 'stale', 'malformed', 'quarantined')
            OR state = 'embedded' AND skill_ids IS NULL)
        AND state <> 'embedded'
) + (SELECT count(*) FROM ({noted}) AS noted WHERE state = 'pending');

-- name: count_unsplit
-- Rows with a text whose skills are not known yet, by the same index.
SELECT (
    SELECT count(*) FROM {state} AS s
    WHERE (state IN ('pending', 'stale', 'malformed', 'quarantined')
            OR state = 'embedded' AND skill_ids IS NULL)
        AND skill_ids IS NULL
) + (SELECT count(*) FROM ({noted}) AS noted WHERE state = 'pending') AS count;

-- name: count_waiting
-- Rows that a backfill would take, by the same index.
SELECT (
    SELECT count(*) FROM {state} AS s
    WHERE (state IN ('pending', 'stale', 'malformed', 'quarantined')
            OR state = 'embedded' AND skill_ids IS NULL)
        AND state <> 'quarantined' AND {is_single}
) + (SELECT count(*) FROM ({noted}) AS noted WHERE state = 'pending');

-- name: any_waiting
-- Whether there is one, by the same index; or a note, or room to give back (`admit`).
SELECT EXISTS (SELECT 1 FROM {notes}) OR pg_relation_size({notes_name}) > 65536 OR EXISTS (
    SELECT 1 FROM {state} AS s
    WHERE (state IN ('pending', 'stale', 'malformed', 'quarantined')
            OR state = 'embedded' AND skill_ids IS NULL)
        AND state <> 'quarantined' AND {is_single}
);

-- name: forget_deleted
-- Jobs that have been gone for so long that an older reader reads all jobs anyway.
WITH forgotten AS (
    DELETE FROM recommender.job_state
    WHERE state = 'gone'
        AND stored_at < clock_timestamp() - make_interval(secs => %(age_s)s)
    RETURNING changed
)
UPDATE recommender.identity
SET forgotten = greatest(forgotten, (SELECT max(changed) FROM forgotten))
WHERE EXISTS (SELECT 1 FROM forgotten);

-- name: adopt
-- Notice that this database is a copy of another one.
SELECT recommender.adopt();

-- name: database_id
-- An id of our own, and the database's number on its server: a copy that was made of
-- a template has the same id until it is adopted.
SELECT i.database::text || '/' || d.oid::text
FROM recommender.identity AS i, pg_database AS d
WHERE d.datname = current_database();
