-- name: ids
-- The ids of users and of jobs as their tables hold them, NULL where there is none; how
-- many events the user has, counted up to a limit; and whether this one is there.
WITH asked AS (
    SELECT
        given.*,
        (SELECT t.job_id::text FROM {jobs} AS t WHERE t.job_id = given.job_id LIMIT 1)
            AS stored_id
    FROM unnest(
        %(users)s::{user_type}[], %(jobs)s::{job_type}[],
        %(events)s::recommender.feedback_event[]
    ) WITH ORDINALITY AS given (user_id, job_id, event, number)
), person AS (
    SELECT
        one.user_id,
        (SELECT t.user_id::text FROM {users} AS t WHERE t.user_id = one.user_id LIMIT 1)
            AS stored_id
    FROM (SELECT DISTINCT user_id FROM asked) AS one
), counted AS (
    SELECT person.*, (
        SELECT count(*) FROM (
            SELECT 1 FROM recommender.feedback AS f
            WHERE f.user_id = person.stored_id COLLATE "C" LIMIT %(most)s
        ) AS counted_rows
    ) AS events
    FROM person
)
SELECT
    counted.stored_id, asked.stored_id, counted.events,
    EXISTS (
        SELECT 1 FROM recommender.feedback AS f
        WHERE f.user_id = counted.stored_id COLLATE "C"
            AND f.job_id = asked.stored_id COLLATE "C" AND f.event = asked.event
    )
FROM asked JOIN counted ON counted.user_id = asked.user_id
ORDER BY asked.number;

-- name: store
INSERT INTO recommender.feedback (user_id, job_id, event)
SELECT * FROM unnest(
    %(users)s::text[], %(jobs)s::text[], %(events)s::recommender.feedback_event[])
ON CONFLICT DO NOTHING;

-- name: undo
DELETE FROM recommender.feedback AS f
USING unnest(
    %(users)s::text[], %(jobs)s::text[], %(events)s::recommender.feedback_event[])
    AS given (user_id, job_id, event)
WHERE f.user_id = given.user_id AND f.job_id = given.job_id AND f.event = given.event;

-- name: user
-- The id of a user as the table holds it. In parentheses: a cast binds tighter than the
-- sign of the least bigint.
SELECT t.user_id::text FROM {users} AS t
WHERE t.user_id = (%(user)s)::{user_type} LIMIT 1;

-- name: of_user
SELECT job_id, event::text, at FROM recommender.feedback
WHERE user_id = %(user)s
ORDER BY at DESC, job_id, event;

-- name: erase
DELETE FROM recommender.feedback WHERE user_id = %(user)s
RETURNING job_id, event::text, at;

-- name: events
-- A part of statements that read users: what the user did, newest first, as "event
-- microseconds job_id"; NULL if nothing that counts.
(SELECT array_agg(
        f.event::text || ' ' || (extract(epoch FROM f.at) * 1000000)::bigint || ' ' || f.job_id
        ORDER BY f.at DESC, f.job_id, f.event)
    FROM recommender.feedback AS f
    WHERE f.user_id = t.{key}::text COLLATE "C" AND f.event <> 'opened');

-- name: most_applied
-- The jobs to which most users applied, of equal ones the newest and then the last id
-- first. A subquery for the conditions, because columns of the team's may be called as
-- ours.
SELECT t.id, coalesce(a.users, 0), t.newest
FROM (
    SELECT {key}::{id_type} AS id, {newest} AS newest
    FROM {table} WHERE {key} IS NOT NULL{filters}
) AS t
LEFT JOIN (
    SELECT f.job_id, count(*) AS users FROM recommender.feedback AS f
    WHERE f.event = 'applied' GROUP BY f.job_id
) AS a ON a.job_id = t.id::text COLLATE "C"
WHERE {beyond}
ORDER BY coalesce(a.users, 0) DESC, t.newest DESC, t.id{bytewise} DESC
LIMIT %(limit)s;

-- name: after_most_applied
-- A part of it: the jobs after the last one of a page.
(coalesce(a.users, 0), t.newest, t.id{bytewise})
    < ({users}, {newest}::float8, {last}::{id_type}{bytewise});

-- name: newest
-- A part of it: seconds since 1970, finite. greatest() ignores null.
greatest(-1e18::float8, least(1e18::float8, coalesce(
    extract(epoch FROM {column})::float8, -1e18::float8)));
