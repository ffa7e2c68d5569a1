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

-- The only table that the service's own role may write to.
DO $$
DECLARE
    line record;
BEGIN
    FOR line IN
        SELECT grantee, right_ FROM (VALUES
            ('job_recommender', 'SELECT, INSERT, DELETE'),
            ('job_recommender_worker', 'SELECT, INSERT, UPDATE, DELETE')
        ) AS listed (grantee, right_)
    LOOP
        CONTINUE WHEN to_regrole(line.grantee) IS NULL;
        BEGIN
            EXECUTE format('GRANT %s ON recommender.feedback TO %I', line.right_, line.grantee);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE NOTICE 'GRANT % TO %: no right to', line.right_, line.grantee;
        END;
    END LOOP;
END
$$;
