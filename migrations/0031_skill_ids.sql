-- Why: a job, and a user, is also a list of skill ids: little-endian int32, one after the other.

ALTER TABLE skill_job1 ADD COLUMN IF NOT EXISTS skill_ids BYTEA;
ALTER TABLE users ADD COLUMN IF NOT EXISTS skill_ids BYTEA;

-- Ranking users for a job also tells how similar their whole texts are.
ALTER TABLE users ADD COLUMN IF NOT EXISTS embedding BYTEA;
ALTER TABLE users ADD COLUMN IF NOT EXISTS embedding_version VARCHAR(20);

-- They belong to the text they were split from: an edit makes the row pending again.
CREATE OR REPLACE FUNCTION forget_skill_ids() RETURNS TRIGGER
LANGUAGE plpgsql AS $$
BEGIN
    -- Not in a WHEN: Postgres would refuse to change the type of `skills` then.
    IF OLD.skills IS DISTINCT FROM NEW.skills THEN
        NEW.skill_ids := NULL;
    END IF;
    RETURN NEW;
END
$$;

DROP TRIGGER IF EXISTS forget_skill_ids ON skill_job1;
CREATE TRIGGER forget_skill_ids BEFORE UPDATE ON skill_job1
    FOR EACH ROW EXECUTE FUNCTION forget_skill_ids();
DROP TRIGGER IF EXISTS forget_skill_ids ON users;
CREATE TRIGGER forget_skill_ids BEFORE UPDATE ON users
    FOR EACH ROW EXECUTE FUNCTION forget_skill_ids();

-- The backfill looks for these again and again; none of them is the usual answer.
CREATE INDEX IF NOT EXISTS skill_job1_unsplit_idx ON skill_job1 (job_id)
    WHERE skill_ids IS NULL;
CREATE INDEX IF NOT EXISTS users_unsplit_idx ON users (user_id)
    WHERE skill_ids IS NULL;
