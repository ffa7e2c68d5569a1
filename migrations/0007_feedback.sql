-- Why: what people did with a job decides what they are recommended next.
-- Repeatable: events that are there are kept.

DO $$
BEGIN
    IF to_regtype('recommender.feedback_event') IS NULL THEN
        CREATE TYPE recommender.feedback_event AS ENUM (
            'applied', 'saved', 'dismissed', 'opened'
        );
    END IF;
END
$$;

-- Ids as text, and no foreign key: other tables of ours can be made again, these rows
-- cannot. A change of the team's ids, or another table of jobs, must not remove them.
CREATE TABLE IF NOT EXISTS recommender.feedback (
    user_id TEXT COLLATE "C",
    job_id TEXT COLLATE "C",
    event recommender.feedback_event,
    at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (user_id, job_id, event)
);

-- How many users applied to each job, for users of whom nothing is known.
CREATE INDEX IF NOT EXISTS feedback_applied_idx ON recommender.feedback (job_id)
WHERE event = 'applied';
