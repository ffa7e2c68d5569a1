-- Why: SEARCH_BACKEND=pgvector ranks inside the database, which needs the embeddings as a type that it can compare.

-- Optional: `python scripts/migrate.py --with pgvector`. docs/pgvector.md has the steps.
DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'vector') THEN
        -- A role may have no schema in its path.
        EXECUTE 'CREATE EXTENSION vector'
            || CASE WHEN current_schema() IS NULL THEN ' SCHEMA public' ELSE '' END;
    END IF;
    -- Before 0.8 a filter could leave fewer jobs than were asked for.
    IF (SELECT string_to_array(extversion, '.')::int[] < ARRAY[0, 8]
        FROM pg_extension WHERE extname = 'vector') THEN
        RAISE EXCEPTION 'pgvector 0.8 or later is needed, and this is %',
            (SELECT extversion FROM pg_extension WHERE extname = 'vector')
            USING HINT = 'ALTER EXTENSION vector UPDATE';
    END IF;

    -- Beside the team's table: its updates touch no index of vectors. Half precision: it
    -- only finds candidates, which are scored again from `embedding`. Unit length; NULL,
    -- which no index holds, for an embedding that points nowhere.
    EXECUTE (SELECT format(
        'CREATE TABLE IF NOT EXISTS recommender.job_vector ('
        ' job_id %s PRIMARY KEY, vector %s.halfvec(%s))',
        recommender.key_type(jobs.relation, 'job_id'),
        (SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'vector'),
        coalesce((SELECT m.dimension FROM recommender.model AS m
                  WHERE m.version = recommender.model_in_use()), 384))
        FROM recommender.entity AS jobs WHERE jobs.name = 'jobs');
    -- In the row: an exact scan that fetches a million vectors from elsewhere takes
    -- several times as long.
    ALTER TABLE recommender.job_vector ALTER COLUMN vector SET STORAGE PLAIN;
END
$$;

-- Jobs whose vector is still to be made, without reading the table.
CREATE INDEX IF NOT EXISTS job_state_vectorless_idx ON recommender.job_state (job_id)
WHERE state = 'embedded' AND NOT has_vector;

-- Another embedding than the one it was made from, or none any more: the vector goes.
CREATE OR REPLACE FUNCTION recommender.forget_vector() RETURNS TRIGGER
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM recommender.job_vector AS v WHERE v.job_id = OLD.job_id;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION recommender.forget_vector() FROM PUBLIC;

CREATE OR REPLACE TRIGGER forget_vector AFTER UPDATE ON recommender.job_state
    FOR EACH ROW WHEN (OLD.has_vector AND NOT NEW.has_vector)
    EXECUTE FUNCTION recommender.forget_vector();
CREATE OR REPLACE TRIGGER forget_vector_of_deleted AFTER DELETE ON recommender.job_state
    FOR EACH ROW WHEN (OLD.has_vector) EXECUTE FUNCTION recommender.forget_vector();

-- The roles of 0007 read and write it.
DO $$
BEGIN
    IF to_regrole('job_recommender') IS NOT NULL THEN
        GRANT SELECT ON recommender.job_vector TO job_recommender;
    END IF;
    IF to_regrole('job_recommender_worker') IS NOT NULL THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON recommender.job_vector
            TO job_recommender_worker;
        GRANT EXECUTE ON FUNCTION recommender.forget_vector() TO job_recommender_worker;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'recommender.job_vector was not granted: no right to';
END
$$;
