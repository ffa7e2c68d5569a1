-- Why: SEARCH_BACKEND=pgvector ranks inside the database, which needs the embeddings as a type that it can compare.

-- Optional: `python scripts/migrate.py --with pgvector`. docs/pgvector.md has the steps.
CREATE EXTENSION IF NOT EXISTS vector;

DO $$
DECLARE
    found CONSTANT TEXT := (SELECT extversion FROM pg_extension WHERE extname = 'vector');
BEGIN
    -- Before 0.8 a filter could leave fewer jobs than were asked for.
    IF string_to_array(found, '.')::int[] < ARRAY[0, 8] THEN
        RAISE EXCEPTION 'pgvector 0.8 or later is needed, and this is %', found
            USING HINT = 'ALTER EXTENSION vector UPDATE';
    END IF;
END
$$;

-- Half precision: it only finds candidates, which are scored again from `embedding`.
-- Unit length; the zero vector stands for an embedding that points nowhere.
ALTER TABLE skill_job1 ADD COLUMN IF NOT EXISTS embedding_vec halfvec(384);

-- In the row, like `embedding`: an exact scan that fetches a million vectors from
-- elsewhere takes several times as long. Without the second line Postgres would move
-- the texts out instead. Applies to values written later.
ALTER TABLE skill_job1 ALTER COLUMN embedding_vec SET STORAGE PLAIN;
ALTER TABLE skill_job1 SET (toast_tuple_target = 4080);

-- Whoever writes another embedding and no vector beside it, plain SQL among them: the
-- vector of the old one goes. It comes after `zz_forget_embedding`, by its name.
CREATE OR REPLACE FUNCTION forget_vector_of_old_embedding() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.embedding_vec := NULL;
    RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER zzz_forget_vector
BEFORE UPDATE ON skill_job1 FOR EACH ROW
WHEN (
    OLD.embedding IS DISTINCT FROM NEW.embedding
    AND OLD.embedding_vec IS NOT DISTINCT FROM NEW.embedding_vec
)
EXECUTE FUNCTION forget_vector_of_old_embedding();
