-- Why: the service should run as a role that can do no more than it must: one role reads, one also writes embeddings.

-- Both are groups without a login. For the service, with a password of your own:
--   CREATE ROLE jobs_api LOGIN PASSWORD '…' IN ROLE job_recommender;
-- Where row-level security is on (Supabase), add BYPASSRLS: it reaches no further
-- than the tables granted here. A role that may not create roles skips this file's
-- work with a notice, and the service goes on as the role that owns the tables.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['job_recommender', 'job_recommender_worker'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
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

-- A line per table: who may do what with it. Absent tables and roles are skipped.
DO $$
DECLARE
    line text[];
    rights CONSTANT text[][] := ARRAY[
        ['job_recommender', 'SELECT', 'skill_job1'],
        ['job_recommender', 'SELECT', 'users'],
        ['job_recommender_worker', 'SELECT', 'skill_job1'],
        ['job_recommender_worker', 'SELECT', 'users'],
        ['job_recommender_worker', 'UPDATE (embedding, embedding_version)', 'skill_job1'],
        ['job_recommender_worker', 'UPDATE (embedding, embedding_version)', 'users'],
        ['job_recommender', 'SELECT', 'embedding_failure'],
        ['job_recommender_worker', 'SELECT, INSERT, UPDATE, DELETE', 'embedding_claim'],
        ['job_recommender_worker', 'SELECT, INSERT, UPDATE, DELETE', 'embedding_failure'],
        ['job_recommender_worker', 'SELECT, INSERT, UPDATE, DELETE', 'embedding_lease']
    ];
BEGIN
    FOREACH line SLICE 1 IN ARRAY rights LOOP
        CONTINUE WHEN to_regrole(line[1]) IS NULL OR to_regclass(line[3]) IS NULL;
        BEGIN
            EXECUTE format('GRANT %s ON %s TO %I', line[2], to_regclass(line[3]), line[1]);
            EXECUTE format(
                'GRANT USAGE ON SCHEMA %s TO %I',
                (SELECT relnamespace::regnamespace FROM pg_class
                 WHERE oid = to_regclass(line[3])),
                line[1]
            );
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE NOTICE '% on % was not granted to %: no right to', line[2], line[3], line[1];
        END;
    END LOOP;
END
$$;
