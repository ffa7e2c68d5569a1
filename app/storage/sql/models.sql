-- name: model_in_use
SELECT embedding_version FROM recommender.identity;

-- name: use_model
-- The first model stays until a switch.
SELECT recommender.use_model(%(version)s, %(dimension)s);

-- name: add_model
SELECT recommender.add_model(%(version)s, %(dimension)s);

-- name: switch_model
SELECT recommender.switch_model(%(version)s);

-- name: compare_states
SELECT recommender.compare_states();

-- name: some_users
-- The same ones each time.
SELECT user_id::{id_type} FROM recommender.user_state WHERE state = 'embedded'
ORDER BY hashtext(user_id::text), user_id LIMIT %(limit)s;

-- name: some_skills
-- The same ones each time.
SELECT embedding FROM {embedded} WHERE {sound}
ORDER BY hashtext(skill), skill LIMIT %(limit)s;

-- name: some_texts
-- The embeddings of some rows by one model, of the same ones each time.
SELECT embedding FROM {embeddings} WHERE {sound} AND {key} = ANY (ARRAY(
    SELECT s.{key} FROM {state} AS s WHERE s.state = 'embedded'
    ORDER BY hashtext(s.{key}::text), s.{key} LIMIT %(limit)s
));

-- name: calibration
SELECT calibration::text FROM recommender.model WHERE version = %(version)s;

-- name: calibrate
UPDATE recommender.model SET calibration = %(calibration)s::jsonb
WHERE version = %(version)s;

-- name: bytes
-- All that holds embeddings, with indexes.
SELECT sum(pg_total_relation_size(relation))::bigint FROM (
    SELECT relation::oid FROM recommender.entity WHERE name = 'jobs'
    UNION
    SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace('recommender')
        AND (relname = ANY ('{{job_embedding,user_embedding,skill_embedding,skill,user_state}}')
            OR relname LIKE 'job\_vector%')
        AND relkind = 'r'
) AS listed (relation);

-- name: drop_rows
-- Embeddings of models that are not in use, some of them.
DELETE FROM recommender.{relation} WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM recommender.{relation}
    WHERE embedding_version <> recommender.model_in_use() LIMIT %(limit)s
));

-- name: drop_columns
-- Those of the guide's model, where another one is in use. A row that an editor has
-- locked is left.
WITH next AS (
    SELECT {key} AS id FROM {relation}
    WHERE embedding IS NOT NULL AND {after}
        AND recommender.model_in_use() <> {guide}
    ORDER BY {key} LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
), dropped AS (
    UPDATE {relation} AS t SET embedding = NULL, embedding_version = NULL
    FROM next WHERE t.{key} = next.id
)
SELECT id::text FROM next ORDER BY next.id;

-- name: running
-- Every transaction holds this lock on itself, and everybody sees it.
SELECT virtualtransaction FROM pg_locks
WHERE locktype = 'virtualxid' AND granted AND pid <> pg_backend_pid();

-- name: drop_vectors
SELECT recommender.drop_vectors(%(kept)s);

-- name: drop_models
DELETE FROM recommender.model WHERE version <> recommender.model_in_use();
