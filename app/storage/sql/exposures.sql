-- name: record
-- Store answers. Users who are gone are not stored again. Ages, because the clocks of two
-- machines differ.
INSERT INTO recommender.exposure (user_id, at, job_ids, is_first_page, compared, teams)
SELECT person.id, clock_timestamp() - make_interval(secs => given.age_s),
    given.job_ids, given.is_first_page, given.compared, given.teams
FROM json_to_recordset(%(rows)s::json) AS given (
    user_id text, age_s float8, job_ids text[], is_first_page boolean, compared text,
    teams text)
CROSS JOIN LATERAL (
    SELECT t.user_id::text AS id FROM {users} AS t
    WHERE t.user_id = given.user_id::{user_type} LIMIT 1
) AS person;

-- name: of_user
SELECT at, job_ids, is_first_page, compared, teams FROM recommender.exposure
WHERE user_id = %(user)s ORDER BY at DESC;

-- name: erase
DELETE FROM recommender.exposure WHERE user_id = %(user)s
RETURNING at, job_ids, is_first_page, compared, teams;

-- name: forget
DELETE FROM recommender.exposure WHERE at < now() - make_interval(days => %(days)s);

-- name: oldest
-- The age of the oldest answer in days; NULL without any.
SELECT (extract(epoch FROM now() - min(at)) / 86400)::float8 FROM recommender.exposure;

-- name: reactions
-- What users did with the jobs of the newest answers, after they were shown: once per
-- user and job, however often it was shown.
WITH answer AS MATERIALIZED (
    SELECT user_id, at, job_ids, is_first_page FROM recommender.exposure
    ORDER BY at DESC LIMIT %(most)s
), shown AS (
    SELECT
        a.user_id, j.job_id, min(a.at) AS at,
        bool_or(a.is_first_page AND j.place <= 10) AS is_first_ten
    FROM answer AS a
    CROSS JOIN LATERAL unnest(a.job_ids) WITH ORDINALITY AS j (job_id, place)
    GROUP BY a.user_id, j.job_id
), event AS (
    SELECT
        f.user_id, f.job_id,
        max(f.at) FILTER (WHERE f.event = 'opened') AS opened_at,
        max(f.at) FILTER (WHERE f.event = 'saved') AS saved_at,
        max(f.at) FILTER (WHERE f.event = 'applied') AS applied_at,
        max(f.at) FILTER (WHERE f.event = 'dismissed') AS dismissed_at
    FROM recommender.feedback AS f GROUP BY f.user_id, f.job_id
), reacted AS (
    SELECT
        s.user_id, s.is_first_ten,
        e.opened_at >= s.at AS opened, e.saved_at >= s.at AS saved,
        e.applied_at >= s.at AS applied, e.dismissed_at >= s.at AS dismissed
    FROM shown AS s
    LEFT JOIN event AS e ON e.user_id = s.user_id AND e.job_id = s.job_id
), whole AS (
    SELECT count(*) AS answers, count(DISTINCT user_id) AS users, min(at) AS since
    FROM answer
)
SELECT
    whole.*,
    count(r.user_id), count(*) FILTER (WHERE r.opened), count(*) FILTER (WHERE r.saved),
    count(*) FILTER (WHERE r.applied), count(*) FILTER (WHERE r.dismissed),
    count(*) FILTER (WHERE r.is_first_ten),
    count(*) FILTER (WHERE r.is_first_ten AND r.opened),
    count(*) FILTER (WHERE r.is_first_ten AND r.saved),
    count(*) FILTER (WHERE r.is_first_ten AND r.applied),
    count(*) FILTER (WHERE r.is_first_ten AND r.dismissed)
FROM whole LEFT JOIN reacted AS r ON true
GROUP BY whole.answers, whole.users, whole.since;

-- name: preferences
-- By comparison: its answers and users, and how many users prefer A and B. A job counts
-- once for a user, for the team of its last showing before the user reacted.
WITH answer AS MATERIALIZED (
    SELECT user_id, at, job_ids, compared, teams FROM recommender.exposure
    ORDER BY at DESC LIMIT %(most)s
), credited AS (
    SELECT DISTINCT ON (a.compared, a.user_id, j.job_id)
        a.compared, a.user_id, substr(a.teams, j.place::integer, 1) AS team
    FROM answer AS a
    CROSS JOIN LATERAL unnest(a.job_ids) WITH ORDINALITY AS j (job_id, place)
    JOIN recommender.feedback AS f
        ON f.user_id = a.user_id AND f.job_id = j.job_id AND f.at >= a.at
        AND f.event IN ('opened', 'saved', 'applied')
    WHERE a.compared IS NOT NULL
    ORDER BY a.compared, a.user_id, j.job_id, a.at DESC
), person AS (
    SELECT
        compared, user_id,
        count(*) FILTER (WHERE team = 'A') AS a, count(*) FILTER (WHERE team = 'B') AS b
    FROM credited GROUP BY compared, user_id
), whole AS (
    SELECT compared, count(*) AS answers, count(DISTINCT user_id) AS users
    FROM answer WHERE compared IS NOT NULL GROUP BY compared
)
SELECT
    whole.compared, whole.answers, whole.users,
    count(*) FILTER (WHERE p.a > p.b), count(*) FILTER (WHERE p.b > p.a)
FROM whole LEFT JOIN person AS p ON p.compared = whole.compared
GROUP BY whole.compared, whole.answers, whole.users
ORDER BY whole.compared;
