-- Why: texts that a column's own collation calls equal are still two texts, and a trigger that other triggers follow does not see the text as they leave it.

-- As 0010 does for embeddings: compared by bytes, and last in the order of the names.
CREATE OR REPLACE FUNCTION forget_skill_ids() RETURNS TRIGGER
LANGUAGE plpgsql AS $$
BEGIN
    -- Not in a WHEN: Postgres would refuse to change the type of `skills` then.
    IF OLD.skills::text COLLATE "C" IS DISTINCT FROM NEW.skills::text COLLATE "C" THEN
        NEW.skill_ids := NULL;
    END IF;
    RETURN NEW;
END
$$;

DROP TRIGGER IF EXISTS forget_skill_ids ON skill_job1;
CREATE OR REPLACE TRIGGER zz_forget_skill_ids BEFORE UPDATE ON skill_job1
    FOR EACH ROW EXECUTE FUNCTION forget_skill_ids();
DROP TRIGGER IF EXISTS forget_skill_ids ON users;
CREATE OR REPLACE TRIGGER zz_forget_skill_ids BEFORE UPDATE ON users
    FOR EACH ROW EXECUTE FUNCTION forget_skill_ids();
