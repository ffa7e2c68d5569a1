-- name: placed
-- The partitions of the jobs, in the order of their numbers: the shard that holds each,
-- NULL for this database; the bound; whether statistics are missing.
SELECT
    c.relname, substr(s.srvname, 1 + length('recommender_')), pg_get_expr(c.relpartbound, c.oid),
    c.relkind = 'f' AND c.reltuples < 0
FROM recommender.entity AS e
JOIN pg_inherits AS i ON i.inhparent = e.relation
JOIN pg_class AS c ON c.oid = i.inhrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_foreign_table AS f ON f.ftrelid = c.oid
LEFT JOIN pg_foreign_server AS s ON s.oid = f.ftserver
WHERE e.name = 'jobs' AND n.nspname = 'recommender_shards'
ORDER BY length(c.relname), c.relname;

-- name: any_remote
-- Whether another server holds some of the jobs.
SELECT EXISTS (
    SELECT 1 FROM pg_partition_tree(e.relation) AS p
    JOIN pg_class AS c ON c.oid = p.relid WHERE c.relkind = 'f'
)
FROM recommender.entity AS e WHERE e.name = 'jobs';

-- name: jobs
-- The table of jobs: its names, by what it is partitioned, the first column of that, and
-- whether by us; whether a unique index on job_id alone exists; the model in use; whether
-- all rows are compared with their states.
SELECT
    n.nspname, c.relname, pg_get_partkeydef(c.oid),
    (SELECT a.attname FROM pg_partitioned_table AS k
     JOIN pg_attribute AS a ON a.attrelid = k.partrelid AND a.attnum = k.partattrs[0]
     WHERE k.partrelid = c.oid),
    EXISTS (
        SELECT 1 FROM pg_inherits AS i
        JOIN pg_class AS p ON p.oid = i.inhrelid
        WHERE i.inhparent = c.oid
            AND p.relnamespace = to_regnamespace('recommender_shards')
    ),
    EXISTS (
        SELECT 1 FROM pg_index AS x
        JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0]
        WHERE x.indrelid = c.oid AND x.indisunique AND x.indnkeyatts = 1
            AND x.indpred IS NULL AND x.indisvalid AND a.attname = 'job_id'
    ) OR EXISTS (
        SELECT 1 FROM pg_inherits AS i
        JOIN pg_index AS x ON x.indrelid = i.inhrelid AND x.indisunique
        WHERE i.inhparent = c.oid
    ),
    recommender.model_in_use(),
    e.is_filled AND e.parts IS NOT DISTINCT FROM recommender.parts_of(e.relation)
FROM recommender.entity AS e
JOIN pg_class AS c ON c.oid = e.relation
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE e.name = 'jobs';

-- name: obstacles
-- What a table with partitions on other servers cannot have.
WITH jobs AS (SELECT relation::oid AS oid FROM recommender.entity WHERE name = 'jobs')
SELECT CASE WHEN k.contype = 'f'
    THEN format('the foreign key %I of %s', k.conname, k.conrelid::regclass)
    ELSE format('the exclusion constraint %I', k.conname) END
FROM jobs JOIN pg_constraint AS k ON k.contype IN ('f', 'x')
    AND (k.conrelid = jobs.oid OR k.confrelid = jobs.oid)
UNION ALL
SELECT format('the unique index %s', x.indexrelid::regclass)
FROM jobs JOIN pg_index AS x ON x.indrelid = jobs.oid AND x.indisunique
JOIN pg_attribute AS a ON a.attrelid = jobs.oid AND a.attnum = x.indkey[0]
WHERE NOT (x.indnkeyatts = 1 AND x.indpred IS NULL AND a.attname = 'job_id')
UNION ALL
SELECT format('the trigger %I', t.tgname)
FROM jobs JOIN pg_trigger AS t ON t.tgrelid = jobs.oid AND NOT t.tgisinternal
JOIN pg_proc AS f ON f.oid = t.tgfoid
    AND f.pronamespace IS DISTINCT FROM to_regnamespace('recommender')
UNION ALL
SELECT format('the virtual column %I', a.attname)
FROM jobs JOIN pg_attribute AS a ON a.attrelid = jobs.oid AND a.attgenerated = 'v'
UNION ALL
SELECT DISTINCT format('the view %s', r.ev_class::regclass)
FROM jobs JOIN pg_depend AS d ON d.refobjid = jobs.oid
    AND d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
JOIN pg_rewrite AS r ON r.oid = d.objid AND r.ev_class <> jobs.oid
UNION ALL
SELECT 'its row-level security' FROM jobs JOIN pg_class AS c ON c.oid = jobs.oid
WHERE c.relrowsecurity
UNION ALL
SELECT format('the publication %I', p.pubname)
FROM jobs JOIN pg_publication_rel AS r ON r.prrelid = jobs.oid
JOIN pg_publication AS p ON p.oid = r.prpubid
ORDER BY 1;

-- name: columns
-- The columns of the jobs: name, type, collation, NOT NULL, the expression of a generated
-- one; and the sequence of an identity.
SELECT
    a.attname, format_type(a.atttypid, a.atttypmod),
    (SELECT format('%I.%I', cn.nspname, l.collname)
     FROM pg_collation AS l JOIN pg_namespace AS cn ON cn.oid = l.collnamespace
     WHERE l.oid = a.attcollation AND l.collname <> 'default'),
    a.attnotnull,
    CASE WHEN a.attgenerated <> '' THEN (
        SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef AS d
        WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum
    ) END,
    pg_get_serial_sequence(e.relation::regclass::text, a.attname)
FROM recommender.entity AS e
JOIN pg_attribute AS a ON a.attrelid = e.relation AND a.attnum > 0
    AND NOT a.attisdropped
WHERE e.name = 'jobs' ORDER BY a.attnum;

-- name: type_of_column
-- And whether it is one of text.
SELECT format_type(a.atttypid, a.atttypmod), t.typcategory = 'S'
FROM recommender.entity AS e
JOIN pg_attribute AS a ON a.attrelid = e.relation AND a.attname = {column}
JOIN pg_type AS t ON t.oid = a.atttypid
WHERE e.name = 'jobs';

-- name: value_as_written
-- A value of that type, as the bound of a partition has it.
SELECT CASE WHEN pg_typeof(v) = 'boolean'::regtype THEN v::text ELSE format('%s', v) END
FROM (SELECT {value}::{type}) AS given (v);

-- name: indexes
-- What follows CREATE INDEX ON … for the indexes that are not unique.
SELECT DISTINCT substring(pg_get_indexdef(x.indexrelid) FROM ' USING .*$')
FROM recommender.entity AS e
JOIN pg_index AS x ON x.indrelid = e.relation AND NOT x.indisunique AND x.indisvalid
WHERE e.name = 'jobs' ORDER BY 1;

-- name: checks
-- The CHECK constraints, which a foreign table does not enforce.
SELECT format('CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid))
FROM recommender.entity AS e
JOIN pg_constraint AS k ON k.conrelid = e.relation AND k.contype = 'c'
WHERE e.name = 'jobs' ORDER BY 1;

-- name: grants
-- The rights of others on the jobs: what stands before and behind the name of the table
-- in statements that give them to another one. Names of columns may hold any character.
SELECT format('GRANT %s ON', x.privilege_type), 'TO ' ||
    CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END
FROM recommender.entity AS e JOIN pg_class AS c ON c.oid = e.relation,
    aclexplode(c.relacl) AS x
WHERE e.name = 'jobs' AND x.grantee <> c.relowner
UNION ALL
SELECT format('GRANT %s (%I) ON', x.privilege_type, a.attname), 'TO ' ||
    CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END
FROM recommender.entity AS e JOIN pg_attribute AS a ON a.attrelid = e.relation,
    aclexplode(a.attacl) AS x
WHERE e.name = 'jobs' AND NOT a.attisdropped
UNION ALL
SELECT 'ALTER TABLE', format('OWNER TO %I', pg_get_userbyid(c.relowner))
FROM recommender.entity AS e JOIN pg_class AS c ON c.oid = e.relation
WHERE e.name = 'jobs' AND c.relowner <> (SELECT oid FROM pg_roles
                                         WHERE rolname = current_user);

-- name: create_parent
-- Beside the table whose place it takes.
CREATE TABLE {new} (
    LIKE {table} INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING IDENTITY
    INCLUDING CONSTRAINTS INCLUDING COMMENTS INCLUDING STORAGE
) PARTITION BY {method} ({column});

-- name: own_triggers
-- Our triggers on the jobs: the name, the statement that creates it, the table's name in
-- it, and whether it is called for each row.
SELECT
    t.tgname, pg_get_triggerdef(t.oid), e.relation::regclass::text, t.tgtype & 1 = 1
FROM recommender.entity AS e
JOIN pg_trigger AS t ON t.tgrelid = e.relation
JOIN pg_proc AS f ON f.oid = t.tgfoid
    AND f.pronamespace = to_regnamespace('recommender')
WHERE e.name = 'jobs' ORDER BY 1;

-- name: serve
-- From now on this table is the one of the jobs.
UPDATE recommender.entity
SET relation = {new}::regclass, parts = recommender.parts_of({new}::regclass)
WHERE name = 'jobs';

-- name: note_parts
-- The same rows lie in other tables: nothing is to be compared.
UPDATE recommender.entity SET parts = recommender.parts_of(relation)
WHERE name = 'jobs';

-- name: fill_value
-- A partition for a value whose rows lie in the default one. The triggers are off: the
-- rows stay the same.
ALTER TABLE {default} DISABLE TRIGGER recommender_written;
CREATE TABLE {moving} (LIKE {table} INCLUDING DEFAULTS INCLUDING GENERATED
                       INCLUDING CONSTRAINTS INCLUDING STORAGE);
WITH moved AS (
    DELETE FROM {default} WHERE {column} = {value} RETURNING {columns}
)
INSERT INTO {moving} ({columns}) SELECT {columns} FROM moved;
ALTER TABLE {default} ENABLE ALWAYS TRIGGER recommender_written;

-- name: servers
-- Our foreign servers with their options, and those of the mapping for everybody.
SELECT
    s.srvname,
    (SELECT coalesce(jsonb_object_agg(option_name, option_value), '{}')
     FROM pg_options_to_table(s.srvoptions)),
    (SELECT coalesce(jsonb_object_agg(option_name, option_value), '{}')
     FROM pg_user_mappings AS m, pg_options_to_table(m.umoptions)
     WHERE m.srvid = s.oid AND m.umuser = 0)
FROM pg_foreign_server AS s
JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw AND w.fdwname = 'postgres_fdw'
WHERE s.srvname LIKE 'recommender\_%' ORDER BY s.srvname;

-- name: wrapper
-- Whether postgres_fdw is there, and whether this role may create servers of it.
SELECT
    w.oid IS NOT NULL,
    coalesce(has_foreign_data_wrapper_privilege(w.oid, 'USAGE'), false),
    quote_ident(current_user)
FROM (SELECT 1) AS always
LEFT JOIN pg_foreign_data_wrapper AS w ON w.fdwname = 'postgres_fdw';

-- name: token
-- What tells the shards of this coordinator from those of others.
SELECT obj_description(to_regnamespace('recommender_shards'), 'pg_namespace');

-- name: shard_database
-- On the shard: the version of its server, and its number; the encoding; whether the
-- database has a recommender; whether it is a shard.
SELECT
    current_setting('server_version'), current_setting('server_version_num')::int,
    getdatabaseencoding(), to_regclass('recommender.entity') IS NOT NULL,
    to_regclass('recommender_shards.coordinator') IS NOT NULL;

-- name: shard_identity
-- On the shard: whose it is, and which one.
SELECT token, shard FROM recommender_shards.coordinator;

-- name: prepare_shard
-- On the shard. Nobody writes to its tables but by the coordinator: what is made of the
-- texts is recorded there.
CREATE SCHEMA IF NOT EXISTS recommender_shards;
CREATE TABLE IF NOT EXISTS recommender_shards.coordinator (
    only_row BOOLEAN PRIMARY KEY DEFAULT true CHECK (only_row),
    token TEXT NOT NULL,
    shard TEXT NOT NULL
);
INSERT INTO recommender_shards.coordinator (token, shard) VALUES ({token}, {shard})
ON CONFLICT DO NOTHING;
CREATE OR REPLACE FUNCTION recommender_shards.refuse() RETURNS TRIGGER
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% %', TG_RELID::regclass, CASE TG_ARGV[0]
        WHEN 'direct' THEN 'is a part of a table of jobs on another server; write to'
            ' that table, so that the recommender sees the change.'
        WHEN 'truncate' THEN 'is a part of a table of jobs, which cannot be truncated;'
            ' delete its rows.'
        ELSE 'holds rows by this value, which cannot change; delete the row and insert'
            ' it again.' END;
END
$$;

-- name: guard_part
-- On the shard.
CREATE TRIGGER recommender_direct BEFORE INSERT OR UPDATE OR DELETE ON {part}
    FOR EACH STATEMENT
    WHEN (current_setting('recommender.coordinator', true) IS DISTINCT FROM {token})
    EXECUTE FUNCTION recommender_shards.refuse('direct');
CREATE TRIGGER recommender_truncate BEFORE TRUNCATE ON {part}
    FOR EACH STATEMENT EXECUTE FUNCTION recommender_shards.refuse('truncate');
CREATE TRIGGER recommender_moved BEFORE UPDATE ON {part}
    FOR EACH ROW WHEN (OLD.{column} IS DISTINCT FROM NEW.{column})
    EXECUTE FUNCTION recommender_shards.refuse('moved');
ALTER TABLE {part} ENABLE ALWAYS TRIGGER recommender_direct;
ALTER TABLE {part} ENABLE ALWAYS TRIGGER recommender_truncate;
ALTER TABLE {part} ENABLE ALWAYS TRIGGER recommender_moved;

-- name: health
-- On the shard: a view that the coordinator reads, one row per part.
CREATE OR REPLACE VIEW recommender_shards.health AS
SELECT
    c.relname::text AS part,
    3 = (
        SELECT count(*) FROM pg_trigger AS t
        WHERE t.tgrelid = c.oid AND t.tgenabled = 'A'
            AND t.tgfoid = to_regprocedure('recommender_shards.refuse()')
    ) AS is_guarded,
    EXISTS (
        SELECT 1 FROM pg_index AS x
        JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0]
        WHERE x.indrelid = c.oid AND x.indisvalid AND x.indpred IS NULL
            AND a.attname = 'job_id'
    ) AS is_indexed,
    ARRAY(SELECT a.attname::text FROM pg_attribute AS a
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
    v.oid IS NOT NULL AS has_vectors,
    EXISTS (
        SELECT 1 FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
        WHERE x.indrelid = v.oid AND x.indisvalid AND i.relname = v.relname || '_hnsw_idx'
    ) AS has_vector_index
FROM pg_class AS c
LEFT JOIN pg_class AS v ON v.relnamespace = c.relnamespace
    AND v.relname = 'vectors_' || substr(c.relname, 1 + length('jobs_'))
WHERE c.relnamespace = to_regnamespace('recommender_shards') AND c.relkind = 'r'
    AND c.relname LIKE 'jobs\_%';

-- name: create_health
-- On the coordinator.
CREATE FOREIGN TABLE IF NOT EXISTS {health} (
    part TEXT, is_guarded BOOLEAN, is_indexed BOOLEAN, columns TEXT[],
    has_vectors BOOLEAN, has_vector_index BOOLEAN
) SERVER {server} OPTIONS (schema_name 'recommender_shards', table_name 'health');

-- name: parts_there
-- On the shard: the parts with their columns.
SELECT part, columns FROM recommender_shards.health;

-- name: ask_health
-- On the coordinator, of one shard.
SELECT part, is_guarded, is_indexed, columns, has_vectors, has_vector_index FROM {health};

-- name: vector_table
-- The table of vectors, where migrations/pgvector was applied: the schema of pgvector,
-- the type of a vector, and whether the table has partitions.
SELECT n.nspname, format_type(a.atttypid, a.atttypmod), c.relkind = 'p'
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'vector'
JOIN pg_extension AS e ON e.extname = 'vector'
JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE c.oid = to_regclass('recommender.job_vector');

-- name: placed_vectors
-- The partitions of vectors: the shard that holds each, NULL for this database; whether
-- statistics are missing.
SELECT
    c.relname, substr(s.srvname, 1 + length('recommender_')),
    c.relkind = 'f' AND c.reltuples <= 0
        AND EXISTS (SELECT 1 FROM recommender.job_state AS s WHERE s.has_vector)
FROM pg_inherits AS i
JOIN pg_class AS c ON c.oid = i.inhrelid
LEFT JOIN pg_foreign_table AS f ON f.ftrelid = c.oid
LEFT JOIN pg_foreign_server AS s ON s.oid = f.ftserver
WHERE i.inhparent = to_regclass('recommender.job_vector')
ORDER BY length(c.relname), c.relname;

-- name: vectors_there
-- On the shard.
SELECT c.relname FROM pg_class AS c
WHERE c.relnamespace = to_regnamespace('recommender_shards') AND c.relkind = 'r'
    AND c.relname LIKE 'vectors\_%';

-- name: vector_rights
-- Who may do what with vectors, beside their owner.
SELECT DISTINCT x.privilege_type,
    CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END
FROM pg_class AS c, aclexplode(c.relacl) AS x
WHERE c.oid = to_regclass('recommender.job_vector') AND x.grantee <> c.relowner;

-- name: old_transactions
-- The transactions of clients of this database that may have a snapshot: not those that
-- wait for a lock, which take another one afterwards, and not those of the command.
SELECT l.virtualtransaction
FROM pg_locks AS l
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'virtualxid' AND l.granted AND a.datname = current_database()
    AND a.backend_type = 'client backend' AND a.pid NOT IN (pg_backend_pid(), {pid})
    AND NOT EXISTS (
        SELECT 1 FROM pg_locks AS other WHERE other.pid = a.pid AND (
            NOT other.granted
            OR other.locktype = 'advisory'
                AND (other.classid::bigint << 32) | other.objid::bigint = {lock_key}
        )
    );
