-- name: can_look
-- Whether this role has USAGE on our schema; NULL if the schema does not exist.
SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = 'recommender';

-- name: lacking
-- The rights that this role needs and lacks. It writes feedback and what was
-- shown; rights to write anything else only if it embeds rows.
WITH needed AS (
    SELECT c.oid, 'SELECT' AS action, NULL::text AS attname FROM pg_class AS c
    WHERE c.relnamespace = to_regnamespace('recommender') AND c.relkind = 'r'
    UNION ALL
    SELECT c.oid, action, NULL FROM pg_class AS c
    CROSS JOIN unnest('{INSERT,UPDATE,DELETE}'::text[]) AS action
    WHERE c.relnamespace = to_regnamespace('recommender') AND c.relkind = 'r'
        AND %(writes)s
    UNION ALL
    SELECT c.oid, action, NULL FROM pg_class AS c
    CROSS JOIN unnest('{INSERT,DELETE}'::text[]) AS action
    WHERE c.oid IN (to_regclass('recommender.feedback'),
                    to_regclass('recommender.exposure'))
        AND NOT %(writes)s
    UNION ALL
    SELECT e.relation, 'SELECT', a.attname FROM recommender.entity AS e
    JOIN pg_attribute AS a ON a.attrelid = e.relation AND NOT a.attisdropped
        AND (a.attname IN ('job_id', 'user_id', 'skills') OR a.attname = e.title_column
            OR e.name = 'jobs' AND (a.attname IN ('embedding', 'embedding_version')
                                    OR a.attname = ANY (%(columns)s)))
    UNION ALL
    SELECT e.relation, 'UPDATE', column_name FROM recommender.entity AS e
    CROSS JOIN unnest('{embedding,embedding_version}'::text[]) AS column_name
    WHERE e.name = 'jobs' AND %(writes)s
)
SELECT
    action || coalesce(' (' || quote_ident(attname) || ')', '') || ' ON '
        || oid::regclass
FROM needed
WHERE NOT CASE
    WHEN attname IS NULL THEN has_table_privilege(oid, action)
    ELSE has_column_privilege(oid, attname, action)
END
UNION ALL
SELECT 'USAGE ON SCHEMA ' || n.oid::regnamespace
FROM pg_namespace AS n
WHERE n.oid IN (SELECT c.relnamespace FROM pg_class AS c
                JOIN recommender.entity AS e ON e.relation = c.oid)
    AND NOT has_schema_privilege(n.oid, 'USAGE')
UNION ALL
SELECT 'EXECUTE ON FUNCTION ' || p.oid::regprocedure
FROM pg_proc AS p
WHERE p.pronamespace = to_regnamespace('recommender')
    AND NOT has_function_privilege(p.oid, 'EXECUTE')
    AND (%(writes)s OR p.proname IN ('as_text', 'place', 'key_type', 'check_model'))
ORDER BY 1;

-- name: member
-- Whether this role is a member of one of our roles; NULL if that does not exist.
SELECT pg_has_role(oid, 'USAGE') FROM pg_roles WHERE rolname = %(role)s;

-- name: hidden
-- Tables whose rows row-level security hides from this role.
SELECT e.relation::regclass::text FROM recommender.entity AS e
WHERE row_security_active(e.relation) ORDER BY 1;

-- name: exposed
-- Relations that other roles can access: `public` is everyone; `anon` and
-- `authenticated` are the roles of Supabase's public REST API. All columns of users
-- count; jobs may be public, but write access to their embeddings decides what is
-- recommended. Partitions and views have rights of their own; a view that is not
-- security_invoker reads with its owner's rights.
WITH RECURSIVE stranger AS (
    SELECT oid FROM pg_roles WHERE rolname IN ('anon', 'authenticated')
), served AS (
    SELECT e.name AS entity, part.relid::oid AS relid
    FROM recommender.entity AS e
    CROSS JOIN LATERAL (
        SELECT e.relation AS relid
        UNION SELECT p.relid FROM pg_partition_tree(e.relation) AS p
    ) AS part
    UNION ALL
    SELECT 'ours', oid FROM pg_class
    WHERE relnamespace = to_regnamespace('recommender') AND relkind = 'r'
), seen AS (
    SELECT entity, relid FROM served
    UNION
    SELECT seen.entity, r.ev_class FROM seen
    JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass
        AND d.refobjid = seen.relid AND d.classid = 'pg_rewrite'::regclass
        AND (seen.entity <> 'jobs' OR d.refobjsubid = (
            SELECT attnum FROM pg_attribute
            WHERE attrelid = seen.relid AND attname = 'embedding' AND NOT attisdropped))
    JOIN pg_rewrite AS r ON r.oid = d.objid AND r.ev_class <> seen.relid
), granted AS (
    SELECT seen.entity, c.oid, c.relkind, c.relrowsecurity, c.relnamespace,
        x.grantee, x.privilege_type, c.relowner
    FROM seen JOIN pg_class AS c ON c.oid = seen.relid
    CROSS JOIN LATERAL (
        SELECT (aclexplode(c.relacl)).*
        UNION
        SELECT (aclexplode(a.attacl)).* FROM pg_attribute AS a
        WHERE a.attrelid = c.oid AND NOT a.attisdropped
            AND (seen.entity <> 'jobs' OR a.attname = 'embedding')
    ) AS x
    WHERE x.privilege_type = 'SELECT'
        OR seen.entity = 'jobs' AND x.privilege_type IN ('INSERT', 'UPDATE')
)
SELECT
    g.entity, g.oid::regclass::text, g.relkind::text,
    coalesce(r.rolname::text, 'public'), coalesce(quote_ident(r.rolname), 'public'),
    min(quote_ident(p.polname))
FROM granted AS g
LEFT JOIN pg_roles AS r ON r.oid = g.grantee
LEFT JOIN pg_policy AS p ON p.polrelid = g.oid AND p.polpermissive
    AND p.polcmd IN ('r', '*') AND pg_get_expr(p.polqual, p.polrelid) = 'true'
    AND (0 = ANY (p.polroles) OR g.grantee = ANY (p.polroles) OR EXISTS (
        SELECT 1 FROM stranger AS s WHERE s.oid = ANY (p.polroles)))
WHERE (g.grantee = 0 OR EXISTS (
        SELECT 1 FROM stranger AS s WHERE pg_has_role(s.oid, g.grantee, 'USAGE')))
    AND (g.grantee = 0 AND has_schema_privilege('public', g.relnamespace, 'USAGE')
        OR EXISTS (SELECT 1 FROM stranger AS s
            WHERE has_schema_privilege(s.oid, g.relnamespace, 'USAGE')))
    AND (NOT g.relrowsecurity OR p.polname IS NOT NULL)
    AND NOT EXISTS (
        SELECT 1 FROM pg_class AS v, unnest(v.reloptions) AS option
        WHERE v.oid = g.oid AND v.relkind = 'v'
            AND option IN ('security_invoker=true', 'security_invoker=on',
                           'security_invoker=1', 'security_invoker=yes'))
GROUP BY g.entity, g.oid, g.relkind, r.rolname
ORDER BY 2, 4;
