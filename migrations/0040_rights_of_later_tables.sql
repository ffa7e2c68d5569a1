-- Why: tables that came after the roles need their grants, and no stranger has business in the tables behind the two.

-- A line per table: who may do what with it. Absent tables and roles are skipped.
DO $$
DECLARE
    line text[];
    rights CONSTANT text[][] := ARRAY[
        ['job_recommender', 'SELECT', 'skill'],
        ['job_recommender', 'SELECT', 'skill_vocabulary'],
        ['job_recommender_worker', 'SELECT, INSERT, UPDATE, DELETE', 'skill'],
        ['job_recommender_worker', 'SELECT, UPDATE', 'skill_vocabulary'],
        ['job_recommender_worker', 'UPDATE (skill_ids)', 'skill_job1'],
        ['job_recommender_worker', 'UPDATE (skill_ids)', 'users']
    ];
BEGIN
    FOREACH line SLICE 1 IN ARRAY rights LOOP
        CONTINUE WHEN to_regrole(line[1]) IS NULL OR to_regclass(line[3]) IS NULL;
        BEGIN
            EXECUTE format('GRANT %s ON %s TO %I', line[2], to_regclass(line[3]), line[1]);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE NOTICE '% on % was not granted to %: no right to', line[2], line[3], line[1];
        END;
    END LOOP;
END
$$;

-- Supabase grants every new table in `public` to the roles of its public API.
DO $$
DECLARE
    stranger text;
    inner_table text;
BEGIN
    FOREACH stranger IN ARRAY ARRAY['anon', 'authenticated'] LOOP
        CONTINUE WHEN to_regrole(stranger) IS NULL;
        FOREACH inner_table IN ARRAY ARRAY[
            'embedding_claim', 'embedding_failure', 'embedding_lease',
            'skill', 'skill_vocabulary',
            '_yoyo_migration', '_yoyo_log', '_yoyo_version', 'yoyo_lock'
        ] LOOP
            CONTINUE WHEN to_regclass(inner_table) IS NULL;
            EXECUTE format('REVOKE ALL ON %s FROM %I', to_regclass(inner_table), stranger);
        END LOOP;
    END LOOP;
END
$$;
