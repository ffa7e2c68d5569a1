-- Why: a table that cannot be served is named, with the remedy, before anything is changed.
-- Repeatable: it reads the catalogue and changes nothing.

-- Another table than skill_job1 or users: SET recommender.jobs_table = 'hiring.postings';
-- before this file, and recommender.users_table likewise. A column of the jobs with their
-- titles: SET recommender.title_column = 'title';
DO $$
DECLARE
    entity record;
    given text;
    relation oid;
    title CONSTANT text := nullif(current_setting('recommender.title_column', true), '');
    others text[];
    doubled text;
    problems text[] := '{}';
BEGIN
    IF current_setting('server_version_num')::int < 140000 THEN
        RAISE EXCEPTION 'PostgreSQL 14 or later is needed, and this is %.',
            current_setting('server_version');
    END IF;
    FOR entity IN
        SELECT * FROM (VALUES
            ('JOBS_TABLE', 'recommender.jobs_table', 'skill_job1', 'job_id'),
            ('USERS_TABLE', 'recommender.users_table', 'users', 'user_id')
        ) AS listed (setting, variable, name, key)
    LOOP
        given := nullif(current_setting(entity.variable, true), '');
        relation := to_regclass(coalesce(given, entity.name));

        -- Tables that could be meant as well: of this name, with both columns.
        SELECT array_agg(c.oid::regclass::text ORDER BY 1) INTO others
        FROM pg_class c
        WHERE c.relname = entity.name AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
            AND c.relpersistence <> 't' AND c.oid IS DISTINCT FROM relation
            AND 2 = (
                SELECT count(*) FROM pg_attribute a
                WHERE a.attrelid = c.oid AND NOT a.attisdropped
                    AND a.attname IN (entity.key, 'skills')
            )
            AND (relation IS NULL OR c.relnamespace = ANY (
                SELECT oid FROM pg_namespace WHERE nspname = ANY (current_schemas(false))
            ));
        IF given IS NOT NULL AND relation IS NULL THEN
            problems := problems || format(
                '%s names the table %s, which does not exist; correct it, with double'
                ' quotes around a name that has capitals.', entity.setting, given);
        ELSIF given IS NULL AND others IS NOT NULL THEN
            problems := problems || format(
                'There is %s%s: set %s to the table that is meant, for example %s=%s.',
                array_to_string(others, ' and '),
                CASE WHEN relation IS NULL THEN ', which is not on the search path'
                     ELSE ' beside ' || relation::regclass END,
                entity.setting, entity.setting, others[1]);
        ELSIF relation IS NULL AND entity.setting = 'JOBS_TABLE' AND title IS NOT NULL THEN
            problems := problems || format(
                'TITLE_COLUMN names the column %s, and there is no table of jobs yet;'
                ' create it with this column, or migrate without TITLE_COLUMN first.',
                title);
        END IF;
        CONTINUE WHEN relation IS NULL;

        problems := problems || ARRAY(
            SELECT format('%s (%s) %s', relation::regclass, entity.setting, problem)
            FROM (
                SELECT CASE
                    WHEN c.relpersistence = 't' THEN 'is a temporary table; name another.'
                    WHEN c.relkind IN ('v', 'm') THEN
                        'is a view, whose rows no trigger can follow; name the table'
                        ' behind it, and give that one generated columns where its own'
                        ' have other names (docs/tables.md).'
                    WHEN c.relkind = 'f' THEN
                        'is a foreign table, whose changes no trigger here sees; name a'
                        ' table of this database.'
                    WHEN c.relkind NOT IN ('r', 'p') THEN 'is no table; name one.'
                    WHEN c.relkind = 'r' AND EXISTS (
                        SELECT 1 FROM pg_inherits WHERE inhparent = c.oid
                    ) THEN
                        'has tables that inherit from it, whose rows its triggers do not'
                        ' see; partition it (PARTITION BY) instead of INHERITS.'
                END AS problem
                FROM pg_class c WHERE c.oid = relation
                UNION ALL
                SELECT CASE
                    WHEN a.attname IS NULL AND needed.is_title THEN format(
                        'has no column %s, which TITLE_COLUMN names; correct it.',
                        needed.name)
                    WHEN a.attname IS NULL THEN format(
                        'has no column %s; add it: a stored generated column can give'
                        ' another one this name (docs/tables.md).', needed.name)
                    WHEN a.attgenerated = 'v' THEN format(
                        'has a virtual column %s, which no trigger sees change; make it'
                        ' GENERATED ALWAYS AS (...) STORED.', needed.name)
                    WHEN type.name <> ALL (needed.types) THEN format(
                        'has a column %s of type %s; it may be %s.', needed.name,
                        format_type(a.atttypid, a.atttypmod),
                        array_to_string(needed.types, ', '))
                END
                FROM (VALUES
                    (entity.key, '{smallint,integer,bigint,uuid,text,character varying}',
                     false),
                    ('skills', '{text,character varying,character,citext,text[],'
                     'character varying[],citext[],jsonb,json}', false),
                    (CASE entity.setting WHEN 'JOBS_TABLE' THEN title END,
                     '{text,character varying,character,citext}', true)
                ) AS listed (name, list, is_title)
                CROSS JOIN LATERAL (
                    SELECT listed.name, listed.list::text[] AS types, listed.is_title
                    WHERE listed.name IS NOT NULL
                ) AS needed
                LEFT JOIN pg_attribute a ON a.attrelid = relation
                    AND a.attname = needed.name AND NOT a.attisdropped
                LEFT JOIN LATERAL (
                    WITH RECURSIVE base AS (
                        SELECT t.oid, t.typtype, t.typbasetype
                        FROM pg_type t WHERE t.oid = a.atttypid
                        UNION ALL
                        SELECT t.oid, t.typtype, t.typbasetype
                        FROM pg_type t JOIN base ON t.oid = base.typbasetype
                        WHERE base.typtype = 'd'
                    )
                    -- The schema of an extension's type may come before its name.
                    SELECT regexp_replace(format_type(oid, NULL), '^.*\.', '') AS name
                    FROM base WHERE typtype <> 'd'
                ) AS type ON true
                UNION ALL
                SELECT CASE
                    WHEN a.attgenerated <> '' OR a.attidentity <> '' THEN format(
                        'has a generated column %s, which is not ours; rename it: this'
                        ' name is needed for what is stored.', a.attname)
                    WHEN a.attnotnull THEN format(
                        'has a column %s that is NOT NULL, and an edited text has none'
                        ' until it is embedded; run ALTER TABLE %s ALTER COLUMN %s DROP'
                        ' NOT NULL.', a.attname, relation::regclass, a.attname)
                    WHEN NOT format_type(a.atttypid, NULL) = ANY (ours.types) THEN format(
                        'has a column %s of type %s, which is not ours; rename it: this'
                        ' name is needed for a column of type %s.', a.attname,
                        format_type(a.atttypid, a.atttypmod), ours.types[1])
                END
                FROM (VALUES
                    ('embedding', '{bytea}'::text[]),
                    ('embedding_version', '{character varying,text}')
                ) AS ours (name, types)
                JOIN pg_attribute a ON a.attrelid = relation AND a.attname = ours.name
                    AND NOT a.attisdropped AND entity.setting = 'JOBS_TABLE'
            ) AS found
            WHERE problem IS NOT NULL
        );
        CONTINUE WHEN problems <> '{}';

        -- Embeddings of another length, and none of ours among them.
        IF entity.setting = 'JOBS_TABLE' AND to_regclass('recommender.job_state') IS NULL
            AND EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = relation
                        AND attname = 'embedding' AND NOT attisdropped) THEN
            EXECUTE format(
                'SELECT CASE WHEN count(*) > 0 AND bool_and(octet_length(embedding) <> 1536)'
                ' THEN min(octet_length(embedding))::text END FROM (SELECT embedding'
                ' FROM %s WHERE embedding IS NOT NULL LIMIT 1000) AS sample',
                relation::regclass) INTO doubled;
            IF doubled IS NOT NULL THEN
                problems := problems || format(
                    '%s (JOBS_TABLE) has a column embedding whose values have %s bytes and'
                    ' not 1536, which is not ours; rename it.', relation::regclass, doubled);
            END IF;
        END IF;

        -- An id of two rows: these are left out until one is gone.
        IF NOT EXISTS (
            SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid
                AND a.attnum = i.indkey[0]
            WHERE i.indrelid = relation AND i.indisunique AND i.indnkeyatts = 1
                AND i.indpred IS NULL AND i.indisvalid AND a.attname = entity.key
        ) THEN
            EXECUTE format(
                'SELECT string_agg(id, '', '') FROM (SELECT %1$I::text AS id FROM %2$s'
                ' WHERE %1$I IS NOT NULL GROUP BY %1$I HAVING count(*) > 1'
                ' ORDER BY 1 LIMIT 5) AS doubled', entity.key, relation::regclass)
                INTO doubled;
            IF doubled IS NOT NULL THEN
                RAISE WARNING '% has more than one row of % %: these rows are left out'
                    ' of all answers until each id is there once.',
                    relation::regclass, entity.key, doubled;
            END IF;
        END IF;
    END LOOP;
    IF problems <> '{}' THEN
        RAISE EXCEPTION '%', array_to_string(problems, E'\n');
    END IF;
END
$$;
