-- name: vocabulary
-- What a cache compares itself with: another vocabulary in each copy of a database, also
-- before anybody writes to it.
SELECT
    md5(vocabulary::text || recommender.place())::uuid::text AS vocabulary, revision,
    CASE WHEN counted_vocabulary = vocabulary THEN counts_stamp::text END
        AS counts_stamp,
    EXISTS (SELECT 1 FROM recommender.synonym) AS has_synonyms,
    (SELECT m.calibration::text FROM recommender.model AS m WHERE m.version = {version})
        AS calibration
FROM recommender.skill_vocabulary;

-- name: lock_vocabulary
-- Until the transaction ends nobody removes a skill, or changes how texts are split.
SELECT split_version, synonyms FROM recommender.skill_vocabulary FOR SHARE;

-- name: lock_vocabulary_alone
-- Until the transaction ends nobody else relies on one.
SELECT split_version, synonyms FROM recommender.skill_vocabulary FOR NO KEY UPDATE;

-- name: stream_skills
-- The same record as that of a job's embedding; in the order of writing, so that a
-- reader that was broken off can go on.
SELECT skill_id::int8, 0::int2, embedding
FROM {embedded}
WHERE (revision, skill_id) > ({revision}, {skill_id}) AND {sound}
ORDER BY revision, skill_id
LIMIT {limit};

-- name: skill_texts
-- The texts of those that `stream_skills` streams.
SELECT skill_id, skill
FROM {embedded}
WHERE (revision, skill_id) > (%(revision)s, %(skill_id)s) AND {sound}
ORDER BY revision, skill_id
LIMIT %(limit)s;

-- name: revision_of
SELECT revision FROM {embedded} WHERE skill_id = %(skill_id)s AND {sound};

-- name: skill_ids
-- Those that have a sound embedding.
SELECT skill, skill_id FROM {embedded} WHERE skill = ANY (%(skills)s) AND {sound};

-- name: count_stale_skills
SELECT count(*) FROM recommender.skill
WHERE skill_id NOT IN (SELECT skill_id FROM {embedded} WHERE {sound});

-- name: next_stale_skills
SELECT skill FROM recommender.skill
WHERE skill_id NOT IN (SELECT skill_id FROM {embedded} WHERE {sound})
ORDER BY skill_id
LIMIT %(limit)s;

-- name: store_skills
-- Another backfill may have added some since: it has embedded the same text. Not by
-- ON CONFLICT alone, which would use up an id for each skill that is there.
WITH new AS (
    SELECT * FROM unnest(%(skills)s::text[], %(embeddings)s::bytea[])
        AS new (skill, embedding)
), renewed AS (
    UPDATE recommender.skill AS s
    SET embedding = new.embedding, embedding_version = {version}
    FROM new WHERE s.skill = new.skill
    RETURNING s.skill
)
INSERT INTO recommender.skill (skill, embedding, embedding_version)
SELECT new.skill, new.embedding, {version}
FROM new WHERE new.skill NOT IN (SELECT skill FROM renewed)
ON CONFLICT (skill) DO NOTHING;

-- name: add_skills
-- For a model whose embeddings are not in the same table.
INSERT INTO recommender.skill (skill)
SELECT new.skill FROM unnest(%(skills)s::text[]) AS new (skill)
WHERE new.skill NOT IN (
    SELECT s.skill FROM recommender.skill AS s WHERE s.skill = ANY (%(skills)s)
)
ON CONFLICT (skill) DO NOTHING;

-- name: store_skill_embeddings
-- Theirs.
WITH new AS (
    SELECT * FROM unnest(%(skills)s::text[], %(embeddings)s::bytea[])
        AS new (skill, embedding)
), renewed AS (
    UPDATE recommender.skill_embedding AS e SET embedding = new.embedding
    FROM new WHERE e.skill = new.skill AND e.embedding_version = {version}
    RETURNING e.skill
)
INSERT INTO recommender.skill_embedding (skill, embedding_version, embedding)
SELECT new.skill, {version}, new.embedding
FROM new WHERE new.skill NOT IN (SELECT skill FROM renewed)
ON CONFLICT (skill, embedding_version) DO NOTHING;

-- name: embedded_skills
-- A part of others: the skills with the embeddings of other models.
(
    SELECT s.skill_id, s.skill, e.embedding, e.embedding_version, e.revision
    FROM recommender.skill AS s JOIN recommender.skill_embedding AS e USING (skill)
) AS embedded

-- name: remove_skills
DELETE FROM recommender.skill WHERE NOT skill_id = ANY (%(used)s);

-- name: remove_orphans
DELETE FROM recommender.skill_embedding AS e
WHERE NOT EXISTS (SELECT 1 FROM recommender.skill AS s WHERE s.skill = e.skill);

-- name: counts
SELECT jobs_counted, job_counts FROM recommender.skill_vocabulary;

-- name: jobs_counted
SELECT CASE WHEN counted_vocabulary = vocabulary THEN jobs_counted END
FROM recommender.skill_vocabulary;

-- name: greatest_id
SELECT coalesce(max(skill_id), 0) FROM recommender.skill;

-- name: store_counts
-- Only if skills were counted under this vocabulary.
UPDATE recommender.skill_vocabulary
SET job_counts = %(listed)s, jobs_counted = %(jobs)s,
    counts_stamp = gen_random_uuid(), counted_vocabulary = vocabulary
WHERE md5(vocabulary::text || recommender.place())::uuid = %(vocabulary)s::uuid;

-- name: stream_skill_ids
-- From the narrow table. The spare int2 puts the ids on a four-byte boundary of the
-- record.
SELECT s.{key}::{id_type}, 0::int2, s.skill_ids
FROM {state} AS s
WHERE {has_skill_ids}
    AND s.state <> 'gone'
    {matching};

-- name: skill_ids_by_id
-- From the narrow table.
SELECT s.{key}::{id_type}, s.skill_ids
FROM {state} AS s
WHERE s.{key} = ANY (%(ids)s::{id_type}[]) AND {has_skill_ids};

-- name: stream_job_entries
-- Of every job what all rankings together compare. Zeros stand for an embedding that is
-- absent and -1 for skill ids that are: so the heads of all records have one size. A
-- subquery, because columns of the team's may be called as ours.
SELECT t.id, 0::int2, coalesce(t.embedding, {no_embedding}),
    coalesce(CASE WHEN {has_skill_ids} THEN s.skill_ids END, {no_skill_ids})
FROM ({own_embeddings}) AS t
LEFT JOIN {state} AS s ON s.{key} = t.id
WHERE (t.embedding IS NOT NULL OR {has_skill_ids})
    AND (s.copies = 1 OR s.copies IS NULL);

-- name: join_in_memory
-- Settings before it. The narrow table is hashed, 10 MB for 100,000 jobs: beyond work_mem
-- Postgres would write the embeddings of half of the other one to temporary files first.
SET LOCAL work_mem = '32MB';

-- name: look_each_up
-- Those for jobs on shards. Rows come slowly from there: to look each state up costs
-- little, and holds nothing.
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;

-- name: in_column
-- A part of others: the jobs with the embeddings of the guide's model.
SELECT {key}::{id_type} AS id, {stored} AS embedding FROM {table} AS t
WHERE {key} IS NOT NULL{filters}

-- name: in_table
-- A part of others: those of other models. A join: to look each up takes five times as
-- long.
SELECT t.id, e.embedding
FROM (
    SELECT {key}::{id_type} AS id FROM {table} WHERE {key} IS NOT NULL{filters}
) AS t
LEFT JOIN {embeddings} AS e ON e.{key} = t.id AND {sound}

-- name: stream_user_entries
-- Of every user likewise, from our own tables.
SELECT s.{key}::{id_type}, 0::int2,
    coalesce(e.embedding, {no_embedding}),
    coalesce(CASE WHEN {has_skill_ids} THEN s.skill_ids END, {no_skill_ids})
FROM {state} AS s
LEFT JOIN (SELECT {key} AS id, embedding FROM {embeddings} WHERE {sound}) AS e
    ON e.id = s.{key}
WHERE (e.embedding IS NOT NULL OR {has_skill_ids}) AND s.state <> 'gone';

-- name: has_skill_ids
-- A part of others: the row's skills are known, and there are some.
octet_length(s.skill_ids) > 0 AND mod(octet_length(s.skill_ids), 4) = 0

-- name: matching
-- For filters, which are on the team's table.
AND EXISTS (
    SELECT 1 FROM {table} WHERE {table}.{key} = s.{key}{filters}
);

-- name: job_rows
-- Jobs with their text, skill ids and embedding. Not by a join: columns of the team's
-- may be called as ours. Base64 takes two thirds of the bytes that the driver would
-- receive for a BYTEA.
SELECT
    {key}::{id_type}, recommender.as_text(skills),
    (SELECT s.skill_ids FROM recommender.job_state AS s WHERE s.job_id = t.{key}),
    encode({stored}, 'base64'), {title}{columns}
FROM {table} AS t
WHERE {key} = ANY (%(ids)s::{id_type}[]);

-- name: user_rows
-- Users likewise.
SELECT
    t.{key}::{id_type}, recommender.as_text(t.skills), s.skill_ids,
    encode({stored}, 'base64'), {events}
FROM {table} AS t
LEFT JOIN recommender.user_state AS s ON s.user_id = t.{key}
WHERE t.{key} = ANY (%(ids)s::{id_type}[]);
