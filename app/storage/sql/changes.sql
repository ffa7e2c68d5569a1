-- name: look
-- Which table this is, whether every change of its embeddings is recorded, this
-- transaction's snapshot, and which jobs a snapshot before it did not see as they are
-- now: the index on `changed` answers, {most} at most. Of jobs on shards (docs/shards.md)
-- each partition must be one of ours, and belongs to the identity. A change commits on
-- its shard before it commits here: who sees its `changed` can read it there. The identity differs wherever
-- embeddings may have changed and no trigger saw it: after a restore, a promotion, a
-- rewrite of the table, another type of a column, triggers that were off for a while. A
-- crash may lose what was committed asynchronously, and give its xids to others: the
-- server's statistics begin anew then.
-- A `changed` that the snapshot before saw as committed is that of a row as it was then.
SELECT
    concat_ws('/',
        i.database, recommender.place(),
        CASE WHEN NOT pg_is_in_recovery()
            THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END,
        extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time()),
        c.oid, pg_relation_filenode(c.oid),
        to_regclass('recommender.job_state')::oid,
        pg_relation_filenode(to_regclass('recommender.job_state')),
        pg_relation_filenode(to_regclass('recommender.job_embedding')),
        (SELECT string_agg(a.attnum || ':' || a.atttypid, ' ' ORDER BY a.attname)
         FROM pg_attribute AS a WHERE a.attrelid = c.oid AND NOT a.attisdropped
             AND a.attname IN ('job_id', 'embedding', 'embedding_version')),
        (SELECT string_agg(t.oid || ':' || t.xmin, ' ' ORDER BY t.oid)
         FROM pg_trigger AS t WHERE t.tgrelid = c.oid
             AND t.tgname IN ('recommender_written', 'recommender_truncated')),
        (SELECT string_agg(concat_ws(':', p.relid::oid, pg_relation_filenode(p.relid),
                                     t.oid, t.xmin, s.oid, s.xmin),
                           ' ' ORDER BY p.relid::oid)
         FROM pg_partition_tree(c.oid) AS p
         LEFT JOIN pg_trigger AS t ON t.tgrelid = p.relid
             AND t.tgname = 'recommender_written'
         LEFT JOIN pg_foreign_table AS f ON f.ftrelid = p.relid
         LEFT JOIN pg_foreign_server AS s ON s.oid = f.ftserver
         WHERE c.relkind = 'p' AND p.isleaf)
    ) AS identity,
    CASE
        WHEN pg_is_in_recovery() THEN 'the database is a stand-by'
        WHEN c.relkind NOT IN ('r', 'p') OR c.relkind = 'r' AND c.relhassubclass
            OR c.relkind = 'p' AND EXISTS (
                SELECT 1 FROM pg_partition_tree(c.oid) AS p
                JOIN pg_class AS part ON part.oid = p.relid
                WHERE p.isleaf AND part.relnamespace
                    IS DISTINCT FROM to_regnamespace('recommender_shards')
            )
            THEN 'its changes are recorded for one ordinary table or for shards only'
        WHEN NOT e.is_filled OR 2 <> (
            SELECT count(*) FROM pg_trigger AS t
            WHERE t.tgrelid = c.oid AND t.tgenabled = 'A'
                AND t.tgname IN ('recommender_written', 'recommender_truncated')
        ) OR c.relkind = 'p' AND EXISTS (
            SELECT 1 FROM pg_partition_tree(c.oid) AS p
            LEFT JOIN pg_trigger AS t ON t.tgrelid = p.relid
                AND t.tgname = 'recommender_written'
            WHERE p.isleaf AND t.tgenabled IS DISTINCT FROM 'A'
        ) THEN 'triggers of ours are not there: the doctor names them'
        WHEN i.embedding_version <> {version} THEN 'its embeddings are of another model'
        WHEN NOT EXISTS (
            SELECT 1 FROM pg_attribute AS a
            LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
            WHERE a.attrelid = c.oid AND a.attname = 'job_id'
                AND a.atttypid::regtype = ANY (
                    '{{smallint,integer,bigint,uuid,text,varchar}}'::regtype[])
                AND coalesce(l.collisdeterministic, true)
        ) THEN 'its ids are of a type whose changes are not told apart'
        WHEN c.relkind = 'p' AND EXISTS (
            SELECT 1 FROM pg_attribute AS a
            WHERE a.attrelid = c.oid AND a.attname = 'job_id' AND a.attcollation <> 0
        ) THEN 'its ids are text, which servers may order differently'
    END AS fault,
    i.forgotten::text AS forgotten,
    pg_current_snapshot()::text AS snapshot,
    ARRAY(
        SELECT s.job_id::text FROM recommender.job_state AS s
        WHERE s.changed >= pg_snapshot_xmin({since}::pg_snapshot)
            AND NOT pg_visible_in_snapshot(s.changed, {since}::pg_snapshot)
        LIMIT {most}
    ) AS changed
FROM recommender.identity AS i, recommender.entity AS e
JOIN pg_class AS c ON c.oid = e.relation
WHERE e.name = 'jobs';

-- name: changed_in_order
-- The same jobs in the order of their ids, a slice at a time.
SELECT s.job_id::{id_type}::text FROM recommender.job_state AS s
WHERE s.changed >= pg_snapshot_xmin({since}::pg_snapshot)
    AND NOT pg_visible_in_snapshot(s.changed, {since}::pg_snapshot) AND {beyond}
ORDER BY s.job_id
LIMIT {most};

-- name: stream_rows
-- What the rankings compare of some jobs: records as those of `stream_job_entries`, of
-- each of several rows with one id, and with the row's flags before its skill ids.
SELECT t.id, 0::int2, coalesce(t.embedding, {nothing}),
    set_byte('\x00000000'::bytea, 0,
        CASE WHEN coalesce(s.copies, 1) = 1 THEN {is_alone} ELSE 0 END
        + CASE WHEN t.embedding IS NULL THEN 0 ELSE {has_embedding} END
        + CASE WHEN {has_skill_ids} THEN {has_skills} ELSE 0 END
        + CASE WHEN s.skill_ids IS NULL THEN 0 ELSE {knows_skills} END)
    || CASE WHEN {has_skill_ids} THEN s.skill_ids ELSE {no_skill_ids} END
FROM (
    SELECT {key}::{id_type} AS id, {stored} AS embedding FROM {table} AS t WHERE {some}
) AS t
LEFT JOIN {state} AS s ON s.{key} = t.id
WHERE t.embedding IS NOT NULL OR {has_skill_ids};

-- name: nothing
-- A part of others: zeros in place of an embedding.
decode(repeat('00', coalesce((
    SELECT 4 * m.dimension FROM recommender.model AS m WHERE m.version = {version}
), {length})), 'hex')

-- name: end_of_slice
-- The last id of the next slice; none where fewer rows are left. Its name in ORDER BY is
-- qualified: alone it would mean the text that is selected.
SELECT t.{key}::{id_type}::text FROM {table} AS t WHERE {beyond}
ORDER BY t.{key} OFFSET {most} - 1 LIMIT 1;

-- name: widest_id
SELECT coalesce(max(octet_length({key}::text)), 1) FROM {table};

-- name: stream_ids
-- The ids of all jobs; conditions follow.
SELECT {key}::{id_type} FROM {table} WHERE {key} IS NOT NULL;
