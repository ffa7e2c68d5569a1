-- name: unfinished
-- The newest run, if it is of this question and not finished; and the last user that it
-- stored something for. An erased user has no rows: then it goes on from the one before.
SELECT r.run, r.users_done, (
    SELECT n.user_id::{user_type} FROM recommender.recommendation AS n
    WHERE n.run = r.run ORDER BY n.user_id DESC LIMIT 1
)
FROM recommender.recommendation_run AS r
WHERE r.finished_at IS NULL AND r.question = %(question)s
    AND r.run = (SELECT max(run) FROM recommender.recommendation_run);

-- name: start
-- A new run; those before it store nothing any more.
INSERT INTO recommender.recommendation_run (question)
VALUES (%(question)s)
RETURNING run;

-- name: advance
-- Move the run on. No row where another process did, or began a newer run.
UPDATE recommender.recommendation_run
SET users_done = users_done + %(users)s
WHERE run = %(run)s AND finished_at IS NULL
    AND run = (SELECT max(run) FROM recommender.recommendation_run)
    AND users_done = %(done)s;

-- name: forget
-- What these users had.
DELETE FROM recommender.recommendation
WHERE user_id = ANY (%(users)s::{user_type}[]);

-- name: known
-- Since when these users have had their jobs.
SELECT user_id::{user_type}, job_id::{job_type}, since FROM recommender.recommendation
WHERE user_id = ANY (%(users)s::{user_type}[]);

-- name: store
-- The new rows of these users.
INSERT INTO recommender.recommendation
    (user_id, rank, job_id, similarity_score, match_score, since, run)
SELECT new.user_id, new.rank, new.job_id, new.similarity, new.match,
    coalesce(new.since, now()), %(run)s
FROM unnest(
    %(users)s::{user_type}[], %(ranks)s::int[], %(jobs)s::{job_type}[],
    %(similarities)s::float8[], %(matches)s::float8[], %(since)s::timestamptz[]
) AS new (user_id, rank, job_id, similarity, match, since);

-- name: last_finish
-- Of the last run before those that nobody was told of.
SELECT max(finished_at) FROM recommender.recommendation_run
WHERE run < coalesce(
    (SELECT min(run) FROM recommender.recommendation_run WHERE is_untold),
    9223372036854775807);

-- name: untold
SELECT max(run) FROM recommender.recommendation_run WHERE is_untold;

-- name: told
UPDATE recommender.recommendation_run SET is_untold = false
WHERE is_untold AND run <= %(run)s;

-- name: new_jobs
-- What is new for some users after another.
SELECT r.user_id::{user_type}, r.rank, r.job_id::{job_type}, r.similarity_score,
    r.match_score, r.since
FROM (
    SELECT DISTINCT n.user_id FROM recommender.recommendation AS n
    WHERE n.since >= %(since)s
        AND (%(after)s IS NULL OR n.user_id > %(after)s::{user_type})
    ORDER BY n.user_id LIMIT %(users)s
) AS told
JOIN recommender.recommendation AS r ON r.user_id = told.user_id
WHERE r.since >= %(since)s
ORDER BY r.user_id, r.rank;

-- name: forget_older
-- Users who were deleted, or have no skills any more. A newer run keeps its rows.
DELETE FROM recommender.recommendation
WHERE run < %(run)s;

-- name: finish
-- All users are done.
UPDATE recommender.recommendation_run
SET finished_at = now(), is_untold = %(is_untold)s
WHERE run = %(run)s;

-- name: users_after
-- The next users in the order of their ids.
SELECT DISTINCT user_id::{user_type}, user_id
FROM {users}
WHERE user_id IS NOT NULL
    AND (%(after)s IS NULL OR user_id > %(after)s::{user_type})
ORDER BY {users}.user_id
LIMIT %(limit)s;

-- name: count_after
-- How many users there are beyond one.
SELECT count(DISTINCT user_id)
FROM {users}
WHERE %(after)s IS NULL OR user_id > %(after)s::{user_type};
