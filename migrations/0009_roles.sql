-- Why: the service should run as a role that can do no more than it must: one role reads, one also fills.
-- Repeatable: columns that JOB_COLUMNS or TITLE_COLUMN name later are granted as well.

-- Both are groups without a login. For the service, with a password of your own:
--   CREATE ROLE jobs_api LOGIN PASSWORD '...' IN ROLE job_recommender;
-- Where row-level security is on (Supabase), add BYPASSRLS: it reaches no further than
-- the columns granted here. A role that may not create roles skips this file's work with
-- a notice, and the service goes on as the role that owns the tables.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['job_recommender', 'job_recommender_worker'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION
                -- A migration of another database of this server was faster.
                WHEN duplicate_object OR unique_violation THEN NULL;
                WHEN insufficient_privilege THEN
                    RAISE NOTICE 'role % was not created: no right to', wanted;
            END;
        END IF;
    END LOOP;
END
$$;

-- A line per right: what, on what, for whom. Roles that are absent are skipped, and so
-- is what they have already.
DO $$
DECLARE
    line record;
    jobs CONSTANT regclass := (SELECT relation FROM recommender.entity WHERE name = 'jobs');
    users CONSTANT regclass := (SELECT relation FROM recommender.entity WHERE name = 'users');
    offered CONSTANT text := coalesce((
        SELECT string_agg(format(', %I', a.attname), '')
        FROM pg_attribute a
        WHERE a.attrelid = jobs AND NOT a.attisdropped AND a.attnum > 0
            AND (a.attname = ANY (string_to_array(
                    current_setting('recommender.job_columns', true), ','))
                OR a.attname = (SELECT title_column FROM recommender.entity
                                WHERE name = 'jobs'))
    ), '');
    read_jobs CONSTANT text := format(
        'SELECT (job_id, skills, embedding, embedding_version%s) ON %s', offered, jobs);
    read_users CONSTANT text := format('SELECT (user_id, skills) ON %s', users);
    usage CONSTANT text := 'USAGE ON SCHEMA ';
    schema_of_jobs CONSTANT text := (
        SELECT relnamespace::regnamespace FROM pg_class WHERE oid = jobs);
    schema_of_users CONSTANT text := (
        SELECT relnamespace::regnamespace FROM pg_class WHERE oid = users);
BEGIN
    FOR line IN
        SELECT grantee, right_ FROM (VALUES
            ('job_recommender', read_jobs),
            ('job_recommender', read_users),
            ('job_recommender', usage || schema_of_jobs),
            ('job_recommender', usage || schema_of_users),
            ('job_recommender', 'USAGE ON SCHEMA recommender'),
            ('job_recommender', 'SELECT ON ALL TABLES IN SCHEMA recommender'),
            -- The only tables that the service's own role may write to.
            ('job_recommender',
             'INSERT, DELETE ON recommender.feedback, recommender.exposure'),
            ('job_recommender', 'EXECUTE ON FUNCTION recommender.place()'),
            ('job_recommender', 'EXECUTE ON FUNCTION recommender.check_model(text)'),
            ('job_recommender',
             'EXECUTE ON FUNCTION recommender.key_type(regclass, text)'),
            ('job_recommender_worker', read_jobs),
            ('job_recommender_worker', read_users),
            ('job_recommender_worker', usage || schema_of_jobs),
            ('job_recommender_worker', usage || schema_of_users),
            ('job_recommender_worker', format(
                'UPDATE (embedding, embedding_version) ON %s', jobs)),
            ('job_recommender_worker', 'USAGE ON SCHEMA recommender'),
            ('job_recommender_worker',
             'SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA recommender'),
            ('job_recommender_worker',
             'TRUNCATE ON recommender.new_job, recommender.new_user'),
            ('job_recommender_worker', 'EXECUTE ON ALL FUNCTIONS IN SCHEMA recommender')
        ) AS listed (grantee, right_)
    LOOP
        CONTINUE WHEN to_regrole(line.grantee) IS NULL;
        BEGIN
            EXECUTE format('GRANT %s TO %I', line.right_, line.grantee);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE NOTICE 'GRANT % TO %: no right to', line.right_, line.grantee;
        END;
    END LOOP;
END
$$;
