-- Why: Supabase serves every table in `public` to strangers unless it is closed; users are personal data.

-- Optional: `python scripts/migrate.py --with supabase-close`. A front end of yours that
-- reads users through the REST API stops; `select=*` on the jobs has to name columns.
-- Does nothing where there are no roles `anon` and `authenticated`.
DO $$
DECLARE
    jobs CONSTANT regclass := (SELECT relation FROM recommender.entity WHERE name = 'jobs');
    users CONSTANT regclass := (SELECT relation FROM recommender.entity WHERE name = 'users');
    stranger text;
    right_ text;
    others text;
BEGIN
    FOREACH stranger IN ARRAY ARRAY['anon', 'authenticated'] LOOP
        CONTINUE WHEN to_regrole(stranger) IS NULL;

        EXECUTE format('REVOKE ALL ON %s FROM %I', users, stranger);
        -- The second lock: a grant that comes back by accident still shows no row.
        -- The owner and roles with BYPASSRLS, `service_role` among them, see all.
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', users);

        -- Jobs may be public, their embeddings not: who writes them decides what is
        -- recommended. A right to the table becomes one to the other columns.
        SELECT string_agg(quote_ident(attname), ', ') INTO others
        FROM pg_attribute
        WHERE attrelid = jobs AND attnum > 0 AND NOT attisdropped
          AND attname NOT IN ('embedding', 'embedding_version');
        FOREACH right_ IN ARRAY ARRAY['SELECT', 'INSERT', 'UPDATE'] LOOP
            CONTINUE WHEN NOT has_table_privilege(stranger, jobs, right_);
            EXECUTE format('REVOKE %s ON %s FROM %I', right_, jobs, stranger);
            EXECUTE format('GRANT %s (%s) ON %s TO %I', right_, others, jobs, stranger);
        END LOOP;
        IF has_column_privilege(stranger, jobs, 'embedding', 'SELECT')
            OR has_table_privilege(stranger, users, 'SELECT') THEN
            RAISE WARNING 'role % can still read: rights come from PUBLIC or a group', stranger;
        END IF;
    END LOOP;
END
$$;
