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
END
$$;

-- Where the vectors of a model are: of the guide's in job_vector. A model may have a
-- longer name than a table can.
CREATE OR REPLACE FUNCTION recommender.vector_table(version TEXT) RETURNS TEXT
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE version WHEN 'all-MiniLM-L6-v2' THEN 'job_vector'
    ELSE 'job_vector_' || left(encode(sha256(convert_to(version, 'UTF8')), 'hex'), 8)
END;

-- A table for the vectors of a model, unless there is one. Called by add_model(), with
-- the owner's rights: a worker may not create tables.
CREATE OR REPLACE FUNCTION recommender.add_vectors(of_version TEXT) RETURNS VOID
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own CONSTANT TEXT := recommender.vector_table(of_version);
BEGIN
    IF to_regclass('recommender.' || own) IS NOT NULL THEN
        RETURN;
    END IF;
    -- Beside the team's table: its updates touch no index of vectors. Half precision: it
    -- only finds candidates, which are scored again from `embedding`. Unit length; NULL,
    -- which no index holds, for an embedding that points nowhere.
    EXECUTE (SELECT format(
        'CREATE TABLE recommender.%I (job_id %s PRIMARY KEY, vector %s.halfvec(%s))',
        own, recommender.key_type(jobs.relation, 'job_id'),
        (SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'vector'),
        coalesce((SELECT m.dimension FROM recommender.model AS m
                  WHERE m.version = of_version), 384))
        FROM recommender.entity AS jobs WHERE jobs.name = 'jobs');
    -- In the row: an exact scan that fetches a million vectors from elsewhere takes
    -- several times as long.
    EXECUTE format(
        'ALTER TABLE recommender.%I ALTER COLUMN vector SET STORAGE PLAIN', own);
    EXECUTE format('COMMENT ON TABLE recommender.%I IS %L', own,
                   'vectors of jobs by ' || of_version);
    -- The roles of 0009 read and write it.
    IF to_regrole('job_recommender') IS NOT NULL THEN
        EXECUTE format('GRANT SELECT ON recommender.%I TO job_recommender', own);
    END IF;
    IF to_regrole('job_recommender_worker') IS NOT NULL THEN
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON recommender.%I'
                       ' TO job_recommender_worker', own);
    END IF;
END
$$;
SELECT recommender.add_vectors(recommender.model_in_use());

-- Which jobs have a vector by the model in use. Called by compare_states().
CREATE OR REPLACE FUNCTION recommender.compare_vectors() RETURNS VOID
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name CONSTANT TEXT := recommender.vector_table(recommender.model_in_use());
BEGIN
    IF to_regclass('recommender.' || name) IS NULL THEN
        UPDATE recommender.job_state SET has_vector = false WHERE has_vector;
    ELSE
        EXECUTE format(
            'UPDATE recommender.job_state AS s SET has_vector = NOT s.has_vector'
            ' WHERE s.has_vector <> EXISTS ('
            'SELECT 1 FROM recommender.%I AS v WHERE v.job_id = s.job_id)', name);
    END IF;
END
$$;

-- Jobs whose vector is still to be made, without reading the table.
CREATE INDEX IF NOT EXISTS job_state_vectorless_idx ON recommender.job_state (job_id)
WHERE state = 'embedded' AND NOT has_vector;

-- Another text or embedding than the one it was made from, or none any more: the vector
-- goes. Here that by the guide's model; by others it goes with its row of job_embedding.
CREATE OR REPLACE FUNCTION recommender.forget_vector() RETURNS TRIGGER
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- What became of another model's vector says nothing of this one.
    IF TG_OP = 'UPDATE' AND NEW.text_hash IS NOT DISTINCT FROM OLD.text_hash
        AND NEW.state <> 'gone' AND recommender.model_in_use() <> 'all-MiniLM-L6-v2' THEN
        RETURN NULL;
    END IF;
    IF to_regclass('recommender.job_vector') IS NOT NULL THEN
        DELETE FROM recommender.job_vector AS v WHERE v.job_id = OLD.job_id;
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION recommender.forget_vector_of_other() RETURNS TRIGGER
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name TEXT;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        FOR name IN SELECT relname FROM pg_class
            WHERE relnamespace = to_regnamespace('recommender') AND relkind = 'r'
                AND relname ~ '^job_vector_[0-9a-f]{8}$'
        LOOP
            EXECUTE format('DELETE FROM recommender.%I', name);
        END LOOP;
        RETURN NULL;
    END IF;
    name := recommender.vector_table(OLD.embedding_version);
    IF to_regclass('recommender.' || name) IS NOT NULL THEN
        EXECUTE format('DELETE FROM recommender.%I WHERE job_id = $1', name)
        USING OLD.job_id;
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION recommender.vector_table(TEXT), recommender.add_vectors(TEXT),
    recommender.compare_vectors(), recommender.forget_vector(),
    recommender.forget_vector_of_other() FROM PUBLIC;

CREATE OR REPLACE TRIGGER forget_vector AFTER UPDATE ON recommender.job_state
    FOR EACH ROW WHEN (OLD.has_vector AND NOT NEW.has_vector
        OR OLD.text_hash IS DISTINCT FROM NEW.text_hash
        OR NEW.state = 'gone' AND OLD.state <> 'gone')
    EXECUTE FUNCTION recommender.forget_vector();
CREATE OR REPLACE TRIGGER forget_vector_of_deleted AFTER DELETE ON recommender.job_state
    FOR EACH ROW EXECUTE FUNCTION recommender.forget_vector();
CREATE OR REPLACE TRIGGER forget_vector
    AFTER UPDATE OF embedding OR DELETE ON recommender.job_embedding
    FOR EACH ROW EXECUTE FUNCTION recommender.forget_vector_of_other();
CREATE OR REPLACE TRIGGER forget_vectors AFTER TRUNCATE ON recommender.job_embedding
    FOR EACH STATEMENT EXECUTE FUNCTION recommender.forget_vector_of_other();

-- If the tables were dropped since, or filled before.
SELECT recommender.compare_vectors();

-- The role of 0009 that embeds.
DO $$
BEGIN
    IF to_regrole('job_recommender_worker') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION recommender.vector_table(TEXT),
            recommender.add_vectors(TEXT), recommender.compare_vectors(),
            recommender.forget_vector(), recommender.forget_vector_of_other()
            TO job_recommender_worker;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'functions of vectors were not granted: no right to';
END
$$;
