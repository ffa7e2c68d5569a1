-- Why: Supabase serves every table in `public` to strangers unless it is closed; users are personal data.

-- Does nothing where there are no roles `anon` and `authenticated`.
DO $$
DECLARE
    stranger text;
    right_ text;
    others text;
BEGIN
    FOREACH stranger IN ARRAY ARRAY['anon', 'authenticated'] LOOP
        CONTINUE WHEN to_regrole(stranger) IS NULL;

        EXECUTE format('REVOKE ALL ON users FROM %I', stranger);
        -- The second lock: a grant that comes back by accident still shows no row.
        -- The owner and roles with BYPASSRLS, `service_role` among them, see all.
        ALTER TABLE users ENABLE ROW LEVEL SECURITY;

        -- Jobs may be public, their embeddings not: whoever writes them decides what
        -- is recommended. A right to the table becomes one to the other columns.
        SELECT string_agg(quote_ident(attname), ', ') INTO others
        FROM pg_attribute
        WHERE attrelid = 'skill_job1'::regclass AND attnum > 0 AND NOT attisdropped
          AND attname NOT IN ('embedding', 'embedding_version');
        FOREACH right_ IN ARRAY ARRAY['SELECT', 'INSERT', 'UPDATE'] LOOP
            CONTINUE WHEN NOT has_table_privilege(stranger, 'skill_job1', right_);
            EXECUTE format('REVOKE %s ON skill_job1 FROM %I', right_, stranger);
            EXECUTE format('GRANT %s (%s) ON skill_job1 TO %I', right_, others, stranger);
        END LOOP;
        IF has_column_privilege(stranger, 'skill_job1', 'embedding', 'SELECT')
            OR has_table_privilege(stranger, 'users', 'SELECT') THEN
            RAISE WARNING 'role % can still read: rights come from PUBLIC or a group', stranger;
        END IF;
    END LOOP;
END
$$;
