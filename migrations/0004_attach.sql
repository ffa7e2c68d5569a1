-- Why: triggers on the team's tables record what is to be made, and what was made is void.
-- Repeatable: what is there is left alone; a trigger that was lost comes back.

-- The title changed, which is one more of the skills: these are to be split again. The
-- embedding is that of the text alone, and stays. Called for nothing else: the trigger
-- has a condition.
CREATE OR REPLACE FUNCTION recommender.job_titled() RETURNS TRIGGER
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF recommender.is_job_key(NEW.job_id) THEN
        UPDATE recommender.job_state AS s
        SET skill_ids = NULL, changed = pg_current_xact_id()
        WHERE s.job_id = NEW.job_id AND s.skill_ids IS NOT NULL;
    END IF;
    RETURN NULL;
END
$$;

DO $$
DECLARE
    jobs CONSTANT REGCLASS := to_regclass(coalesce(
        nullif(current_setting('recommender.jobs_table', true), ''), 'skill_job1'));
    users CONSTANT REGCLASS := to_regclass(coalesce(
        nullif(current_setting('recommender.users_table', true), ''), 'users'));
    job_key CONSTANT TEXT := recommender.key_type(jobs, 'job_id');
    user_key CONSTANT TEXT := recommender.key_type(users, 'user_id');
    title CONSTANT TEXT := nullif(current_setting('recommender.title_column', true), '');
    part RECORD;
BEGIN
    -- --- another table than before: the one before is let go ------------------------
    FOR part IN
        SELECT e.name, e.relation, new.relation AS new_relation
        FROM recommender.entity AS e
        JOIN (VALUES ('jobs', jobs), ('users', users)) AS new (name, relation) USING (name)
        WHERE e.relation <> new.relation
    LOOP
        IF EXISTS (SELECT 1 FROM pg_class WHERE oid = part.relation) THEN
            EXECUTE format('DROP TRIGGER IF EXISTS recommender_written ON %1$s;'
                           ' DROP TRIGGER IF EXISTS recommender_truncated ON %1$s;'
                           ' DROP TRIGGER IF EXISTS recommender_titled ON %1$s',
                           part.relation);
        END IF;
        EXECUTE format('DROP TABLE IF EXISTS recommender.%I CASCADE',
                       CASE part.name WHEN 'jobs' THEN 'job_state' ELSE 'user_state' END);
        DELETE FROM recommender.failure WHERE entity = part.name;
        EXECUTE format('DELETE FROM recommender.%I',
                       CASE part.name WHEN 'jobs' THEN 'new_job' ELSE 'new_user' END);
        EXECUTE format('DROP TABLE IF EXISTS recommender.%I',
            CASE part.name WHEN 'jobs' THEN 'job_embedding' ELSE 'user_embedding' END);
        PERFORM recommender.drop_vectors('');
        DELETE FROM recommender.migration WHERE name = '1000_job_vector';
        UPDATE recommender.entity SET relation = part.new_relation, is_filled = false
        WHERE name = part.name;
    END LOOP;

    -- --- a state for each row, by a key of the same kind as theirs ------------------
    FOR part IN
        SELECT * FROM (VALUES
            ('jobs', 'job_id', 'job_state', job_key),
            ('users', 'user_id', 'user_state', user_key)
        ) AS listed (entity, key, state_table, type)
        WHERE EXISTS (
            SELECT 1 FROM pg_attribute
            WHERE attrelid = to_regclass('recommender.' || listed.state_table)
                AND attname = listed.key
                AND format_type(atttypid, NULL) <> split_part(listed.type, ' ', 1)
        )
    LOOP
        -- The team changed the type of its ids. All of it can be made again.
        EXECUTE format('DROP TABLE recommender.%I CASCADE', part.state_table);
        EXECUTE format('DELETE FROM recommender.%I',
                       CASE part.entity WHEN 'jobs' THEN 'new_job' ELSE 'new_user' END);
        EXECUTE format('DROP TABLE IF EXISTS recommender.%I',
            CASE part.entity WHEN 'jobs' THEN 'job_embedding' ELSE 'user_embedding' END);
        DROP TABLE IF EXISTS recommender.recommendation,
            recommender.recommendation_run CASCADE;
        PERFORM recommender.drop_vectors('');
        DELETE FROM recommender.migration WHERE name = '1000_job_vector';
        UPDATE recommender.entity SET is_filled = false WHERE name = part.entity;
    END LOOP;

    -- Which types of ids the triggers can record.
    FOR part IN
        SELECT * FROM (VALUES
            ('is_job_key', jobs, 'job_id', job_key), ('is_user_key', users, 'user_id', user_key)
        ) AS listed (function, relation, key, type)
    LOOP
        EXECUTE format(
            'CREATE OR REPLACE FUNCTION recommender.%I(id ANYELEMENT) RETURNS BOOLEAN'
            ' LANGUAGE sql IMMUTABLE AS'
            ' $f$ SELECT pg_catalog.pg_typeof($1)::pg_catalog.oid'
            ' OPERATOR(pg_catalog.=) ANY (%L::pg_catalog.oid[]) $f$',
            part.function,
            (SELECT array_agg(known) FROM (
                SELECT atttypid AS known FROM pg_attribute
                WHERE attrelid = part.relation AND attname = part.key
                UNION SELECT unnest(CASE split_part(part.type, ' ', 1)
                    WHEN 'bigint' THEN '{smallint,integer,bigint}'::regtype[]
                    WHEN 'uuid' THEN '{uuid}'::regtype[]
                    ELSE '{text,character varying}'::regtype[] END)::oid
            ) AS types));
    END LOOP;

    INSERT INTO recommender.entity (name, relation)
    SELECT * FROM (VALUES ('jobs', jobs), ('users', users)) AS new (name, relation)
    WHERE new.name NOT IN (SELECT name FROM recommender.entity);

    -- TITLE_COLUMN, by its name: a job's title is one more of its skills.
    IF NOT EXISTS (SELECT 1 FROM pg_attribute
                   WHERE attrelid = 'recommender.entity'::regclass
                       AND attname = 'title_column') THEN
        ALTER TABLE recommender.entity ADD COLUMN title_column TEXT;
    END IF;
    -- Another column of titles than before, or none: all jobs are split again. With one,
    -- after its trigger was created (0006).
    UPDATE recommender.entity AS e SET title_column = title
    WHERE e.name = 'jobs' AND e.title_column IS DISTINCT FROM title;
    IF FOUND THEN
        EXECUTE format('DROP TRIGGER IF EXISTS recommender_titled ON %s', jobs);
        INSERT INTO recommender.resplit (entity) SELECT 'jobs' WHERE title IS NULL;
    END IF;

    -- `changed`: who remembers the xmin of an earlier snapshot finds every later change
    -- by the index. `copies`: rows with this id. `tries`: how often lately an embedding
    -- was stored for this text. `stored_at`: when; or when it was gone. `text_hash`: of the
    -- text that was embedded, which shows an edit that no trigger saw.
    EXECUTE format('CREATE TABLE IF NOT EXISTS recommender.job_state ('
        ' job_id %s PRIMARY KEY, skill_ids BYTEA,'
        ' changed XID8 NOT NULL DEFAULT pg_current_xact_id(),'
        ' state recommender.row_state NOT NULL,'
        ' copies INTEGER NOT NULL DEFAULT 1, tries SMALLINT NOT NULL DEFAULT 0,'
        ' has_vector BOOLEAN NOT NULL DEFAULT false, stored_at TIMESTAMPTZ,'
        ' text_hash BIGINT)', job_key);
    -- No row for a user without a text.
    EXECUTE format('CREATE TABLE IF NOT EXISTS recommender.user_state ('
        ' user_id %s PRIMARY KEY, skill_ids BYTEA, embedding BYTEA,'
        ' embedding_version TEXT, state recommender.row_state NOT NULL,'
        ' tries SMALLINT NOT NULL DEFAULT 0, stored_at TIMESTAMPTZ,'
        ' text_hash BIGINT)', user_key);
    ALTER TABLE recommender.user_state ALTER COLUMN embedding SET STORAGE MAIN;
    -- An earlier version had no hashes. The triggers saw every edit, so that each text is
    -- that which was embedded.
    FOR part IN
        SELECT * FROM (VALUES
            ('job_state', 'job_id', jobs), ('user_state', 'user_id', users)
        ) AS listed (name, key, relation)
        WHERE NOT EXISTS (
            SELECT 1 FROM pg_attribute
            WHERE attrelid = to_regclass('recommender.' || listed.name)
                AND attname = 'text_hash'
        )
    LOOP
        EXECUTE format('ALTER TABLE recommender.%I ADD COLUMN text_hash BIGINT', part.name);
        EXECUTE format(
            'UPDATE recommender.%1$I AS s'
            ' SET text_hash = recommender.text_hash(recommender.as_text(t.skills))'
            ' FROM %3$s AS t WHERE t.%2$I = s.%2$I', part.name, part.key, part.relation);
    END LOOP;
    -- Of other models than the guide's, by their version.
    FOR part IN
        SELECT * FROM (VALUES
            ('job_embedding', 'job_id', job_key), ('user_embedding', 'user_id', user_key)
        ) AS listed (name, key, type)
    LOOP
        EXECUTE format('CREATE TABLE IF NOT EXISTS recommender.%I ('
            ' %I %s, embedding_version TEXT, embedding BYTEA NOT NULL,'
            ' PRIMARY KEY (%2$I, embedding_version))', part.name, part.key, part.type);
        EXECUTE format('ALTER TABLE recommender.%I ALTER COLUMN embedding'
                       ' SET STORAGE MAIN', part.name);
    END LOOP;
    -- What scripts/recommend_all.py writes.
    EXECUTE format('CREATE TABLE IF NOT EXISTS recommender.recommendation ('
        ' user_id %s NOT NULL, rank INTEGER NOT NULL, job_id %s NOT NULL,'
        ' similarity_score DOUBLE PRECISION, match_score DOUBLE PRECISION,'
        ' run BIGINT NOT NULL, PRIMARY KEY (user_id, rank))', user_key, job_key);
    -- Since when the job has been among the best of the user.
    ALTER TABLE recommender.recommendation
        ADD COLUMN IF NOT EXISTS since TIMESTAMPTZ NOT NULL DEFAULT now();
    CREATE TABLE IF NOT EXISTS recommender.recommendation_run (
        run BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, question TEXT NOT NULL,
        started_at TIMESTAMPTZ NOT NULL DEFAULT now(), finished_at TIMESTAMPTZ);
    -- How far it is, without the id of any user; and whether nobody was told yet whose
    -- jobs are new.
    ALTER TABLE recommender.recommendation_run
        DROP COLUMN IF EXISTS after_user,
        ADD COLUMN IF NOT EXISTS users_done BIGINT NOT NULL DEFAULT 0,
        ADD COLUMN IF NOT EXISTS is_untold BOOLEAN NOT NULL DEFAULT false;

    -- What waits is found, and counted, without reading a table.
    CREATE INDEX IF NOT EXISTS job_state_unfinished_idx ON recommender.job_state (job_id)
    WHERE state IN ('pending', 'stale', 'malformed', 'quarantined')
        OR state = 'embedded' AND skill_ids IS NULL;
    CREATE INDEX IF NOT EXISTS user_state_unfinished_idx
    ON recommender.user_state (user_id)
    WHERE state IN ('pending', 'stale', 'malformed', 'quarantined')
        OR state = 'embedded' AND skill_ids IS NULL;
    CREATE INDEX IF NOT EXISTS job_state_changed_idx ON recommender.job_state (changed);
    CREATE INDEX IF NOT EXISTS job_state_doubled_idx ON recommender.job_state (job_id)
    WHERE copies > 1;
    CREATE INDEX IF NOT EXISTS job_state_gone_idx ON recommender.job_state (stored_at)
    WHERE state = 'gone';

    FOR part IN
        SELECT * FROM (VALUES
            ('job_state', 'job_id'), ('user_state', 'user_id'),
            ('job_embedding', 'job_id,embedding_version'),
            ('user_embedding', 'user_id,embedding_version')
        ) AS listed (name, key)
    LOOP
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER a_keep_own_row BEFORE INSERT ON recommender.%I'
            ' FOR EACH ROW WHEN (pg_trigger_depth() = 0)'
            ' EXECUTE FUNCTION recommender.keep_own_row(%L)', part.name, part.key);
        EXECUTE format('ALTER TABLE recommender.%I ENABLE ALWAYS TRIGGER a_keep_own_row',
                       part.name);
    END LOOP;

    -- --- the guide's two columns, and the triggers ----------------------------------
    FOR part IN
        SELECT * FROM (VALUES ('embedding', 'BYTEA'), ('embedding_version', 'VARCHAR(20)'))
            AS listed (name, type)
    LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = jobs
                       AND attname = part.name AND NOT attisdropped) THEN
            EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s', jobs, part.name, part.type);
        END IF;
    END LOOP;
    -- 1,536 bytes of floats do not compress and are read in every scan: they stay in the
    -- row, and other long columns move out of it first. For values written later.
    IF EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = jobs AND attname = 'embedding'
               AND attstorage <> 'm') THEN
        EXECUTE format('ALTER TABLE %s ALTER COLUMN embedding SET STORAGE MAIN', jobs);
    END IF;

    -- Always: also for rows that come by replication.
    FOR part IN
        SELECT * FROM (VALUES
            (jobs, 'recommender_written', 'INSERT OR UPDATE OR DELETE', 'ROW', 'job_written'),
            (jobs, 'recommender_truncated', 'TRUNCATE', 'STATEMENT', 'jobs_truncated'),
            (users, 'recommender_written', 'INSERT OR UPDATE OR DELETE', 'ROW', 'user_written'),
            (users, 'recommender_truncated', 'TRUNCATE', 'STATEMENT', 'users_truncated'),
            -- A condition costs other updates less than a call. It names no operator of
            -- an extension, whose dump could not be restored.
            (jobs, 'recommender_titled', 'UPDATE', CASE WHEN title IS NOT NULL THEN format(
                'ROW WHEN (OLD.%1$I::text COLLATE "C" IS DISTINCT FROM'
                ' NEW.%1$I::text COLLATE "C")', title) END, 'job_titled')
        ) AS listed (relation, name, events, each, function)
        WHERE listed.each IS NOT NULL
    LOOP
        CONTINUE WHEN EXISTS (
            SELECT 1 FROM pg_trigger WHERE tgrelid = part.relation AND tgname = part.name
                AND tgenabled = 'A'
        ) AND NOT EXISTS (
            -- As pg_restore --disable-triggers leaves a partition's.
            SELECT 1 FROM pg_partition_tree(part.relation) AS p
            JOIN pg_trigger AS t ON t.tgrelid = p.relid AND t.tgname = part.name
            WHERE t.tgenabled <> 'A'
        );
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER %I AFTER %s ON %s FOR EACH %s'
            ' EXECUTE FUNCTION recommender.%I()',
            part.name, part.events, part.relation, part.each, part.function);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', part.relation, part.name);
        -- Who wrote while there was none is to be found.
        UPDATE recommender.entity SET is_filled = false WHERE relation = part.relation;
    END LOOP;

    IF NOT EXISTS (
        SELECT 1 FROM pg_index i JOIN pg_attribute a
            ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = jobs AND i.indisvalid AND i.indpred IS NULL
            AND a.attname = 'job_id'
    ) THEN
        RAISE WARNING '% has no index on job_id, by which the best jobs are looked up;'
            ' create one: CREATE INDEX CONCURRENTLY ON % (job_id)', jobs, jobs;
    END IF;
END
$$;

-- These act for those who write to the team's tables, and for nobody else.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA recommender FROM PUBLIC;
GRANT EXECUTE ON FUNCTION recommender.as_text(TEXT), recommender.as_text(TEXT[]),
    recommender.as_text(JSONB), recommender.as_text(JSON) TO PUBLIC;
