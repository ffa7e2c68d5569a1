-- name: one_at_a_time
-- Claiming takes a few milliseconds and happens one worker at a time: a statement of
-- its own before `take`, which then sees every claim made so far. The lock ends with
-- the transaction, so it holds behind a pooler too.
SELECT pg_advisory_xact_lock(hashtext('recommender.claim'), 0);

-- name: drop_expired
-- Those of dead workers.
DELETE FROM recommender.claim WHERE expires_at <= clock_timestamp();

-- name: admit
-- Rows that triggers noted get a state, and their number is returned. Alone, by the lock
-- of `one_at_a_time`.
SELECT recommender.admit({entity}, %(most)s);

-- name: take
-- Claim the next rows; none for another model than the one in use, whose worker came
-- later, or the two would undo one another. Keyset paging: OFFSET would read all skipped rows again for every
-- page. A row that an editor has locked is about to change, and is left for later.
WITH next AS (
    SELECT
        s.{key} AS id, recommender.as_text(t.skills) AS skills, {title} AS title,
        s.state = 'embedded' AS is_embedded,
        s.tries >= {most_stores}
            AND s.stored_at > clock_timestamp() - {tries_last} AS is_tried
    FROM {state} AS s
    JOIN {table} AS t ON t.{key} = s.{key}
    WHERE (s.state IN ('pending', 'stale', 'malformed', 'quarantined')
            OR s.state = 'embedded' AND s.skill_ids IS NULL)
        AND s.state <> 'quarantined' AND {is_single}
        AND {is_in_use} AND {after}
        AND s.{key}::text NOT IN (
            SELECT unnest(row_ids) FROM recommender.claim WHERE entity = {entity}
        )
    ORDER BY s.{key}
    LIMIT %(limit)s
    FOR NO KEY UPDATE OF {locked} SKIP LOCKED
), claim AS (
    INSERT INTO recommender.claim (claim_id, entity, row_ids, expires_at)
    SELECT %(claim)s::uuid, {entity}, array_agg(id::text),
        clock_timestamp() + make_interval(secs => %(lease_s)s)
    FROM next HAVING count(*) > 0
)
SELECT id::{id_type}, skills, title, is_embedded, is_tried FROM next ORDER BY next.id;

-- name: take_beside
-- Claim the next rows that a model beside the one in use has not embedded.
WITH next AS (
    SELECT s.{key} AS id, recommender.as_text(t.skills) AS skills, {title} AS title
    FROM {state} AS s
    JOIN {table} AS t ON t.{key} = s.{key}
    WHERE {is_missing} AND {after}
        AND s.{key}::text NOT IN (
            SELECT unnest(row_ids) FROM recommender.claim WHERE entity = {entity}
        )
    ORDER BY s.{key}
    LIMIT %(limit)s
    FOR NO KEY UPDATE OF {locked} SKIP LOCKED
), claim AS (
    INSERT INTO recommender.claim (claim_id, entity, row_ids, expires_at)
    SELECT %(claim)s::uuid, {entity}, array_agg(id::text),
        clock_timestamp() + make_interval(secs => %(lease_s)s)
    FROM next HAVING count(*) > 0
)
SELECT id::{id_type}, skills, title FROM next ORDER BY next.id;

-- name: is_missing
-- A part of others.
s.state IN ('embedded', 'stale', 'malformed', 'pending') AND {is_single}
    AND {stored} IS NULL

-- name: count_missing
SELECT count(*) FROM {state} AS s JOIN {table} AS t ON t.{key} = s.{key}
WHERE {is_missing};

-- name: renew
-- The full time again.
UPDATE recommender.claim
SET expires_at = clock_timestamp() + make_interval(secs => %(lease_s)s)
WHERE claim_id = %(claim)s::uuid;

-- name: release
-- Give the rows back.
DELETE FROM recommender.claim WHERE claim_id = %(claim)s::uuid;

-- name: any_claimed
-- Expired ones too: the next claim drops them and takes their rows.
SELECT EXISTS (SELECT 1 FROM recommender.claim WHERE entity = {entity});

-- name: hold
-- The claim is locked against a worker that finds it expired: who lost the claim stores
-- nothing.
SELECT 1 FROM recommender.claim WHERE claim_id = %(claim)s::uuid FOR UPDATE;

-- name: lock_states
-- Rows that no edit is about to record. A statement of its own: `store` sees every edit
-- that was recorded before it, and an edit that comes after waits with its recording.
SELECT {key}::text FROM {state}
WHERE {key} = ANY (%(ids)s::{id_type}[])
FOR NO KEY UPDATE SKIP LOCKED;

-- name: store_jobs
-- Embedding and skill ids of a batch, by one statement. Compare-and-set on the text that
-- they were made from: a row edited in between matches nothing here and waits with its new
-- text. SKIP LOCKED: a store that never waits for a row of the team's cannot be part of
-- a deadlock, in whichever order an editor locks rows. A row without an embedding
-- here has one already, and only its skills were missing.
WITH fresh AS (
    SELECT * FROM unnest(
        %(ids)s::{id_type}[], %(texts)s::text[], %(titles)s::text[],
        %(embeddings)s::bytea[], %(skill_ids)s::bytea[]
    ) AS fresh (id, skills, title, embedding, skill_ids)
    WHERE fresh.id::text = ANY (%(locked)s) AND {is_in_use}
), free AS ({free}), {write}, stored AS (
    UPDATE recommender.job_state AS s
    SET skill_ids = free.skill_ids, state = 'embedded', changed = pg_current_xact_id(),
        text_hash = recommender.text_hash(free.skills),
        has_vector = s.has_vector AND free.embedding IS NULL,
        tries = CASE WHEN s.stored_at > clock_timestamp() - {tries_last}
            THEN least(s.tries + 1, 100) ELSE 1 END,
        stored_at = clock_timestamp()
    FROM free LEFT JOIN written ON written.id = free.id
    WHERE s.job_id = free.id AND (written.is_kept OR free.embedding IS NULL)
    RETURNING s.job_id AS id
)
SELECT
    array(SELECT id::text FROM stored),
    array(SELECT id::text FROM free EXCEPT SELECT id::text FROM stored);

-- name: store_users
-- The same for users, whose row is only read. The guide's model has its embedding in the
-- row that is written anyway.
WITH fresh AS (
    SELECT * FROM unnest(
        %(ids)s::{id_type}[], %(texts)s::text[], %(titles)s::text[],
        %(embeddings)s::bytea[], %(skill_ids)s::bytea[]
    ) AS fresh (id, skills, title, embedding, skill_ids)
    WHERE fresh.id::text = ANY (%(locked)s) AND {is_in_use}
), free AS ({free}), {write}, stored AS (
    UPDATE recommender.user_state AS s
    SET skill_ids = free.skill_ids, state = 'embedded',
        text_hash = recommender.text_hash(free.skills),
        stored_at = clock_timestamp(){own}
    FROM free
    WHERE s.user_id = free.id
    RETURNING s.user_id AS id
)
SELECT array(SELECT id::text FROM stored), array[]::text[];

-- name: store_beside
-- Embeddings of a model that is not the one in use: states say nothing about them.
WITH fresh AS (
    SELECT * FROM unnest(
        %(ids)s::{id_type}[], %(texts)s::text[], %(titles)s::text[],
        %(embeddings)s::bytea[], %(skill_ids)s::bytea[]
    ) AS fresh (id, skills, title, embedding, skill_ids)
    WHERE fresh.id::text = ANY (%(locked)s)
), free AS ({free}), {write}
SELECT
    array(SELECT id::text FROM written WHERE is_kept),
    array(SELECT id::text FROM free EXCEPT SELECT id::text FROM written WHERE is_kept);

-- name: is_in_use
-- A part of others: nobody has switched to another model.
NOT EXISTS (
    SELECT 1 FROM recommender.identity AS i WHERE i.embedding_version <> {version}
)

-- name: free_jobs
-- A part of others: rows that still hold the text and the title, locked.
SELECT fresh.* FROM {table} AS t
JOIN fresh ON t.{key} = fresh.id
    AND recommender.as_text(t.skills) COLLATE "C" = fresh.skills COLLATE "C"
    AND {title} COLLATE "C" IS NOT DISTINCT FROM fresh.title COLLATE "C"
FOR NO KEY UPDATE OF t SKIP LOCKED

-- name: free_users
SELECT fresh.* FROM fresh
WHERE EXISTS (
    SELECT 1 FROM {table} AS t
    WHERE t.{key} = fresh.id
        AND recommender.as_text(t.skills) COLLATE "C" = fresh.skills COLLATE "C"
)

-- name: free_shards
-- Jobs on other servers, which cannot skip a locked row: the update that follows compares
-- the text once more. The ids as an array are sent there; without it all rows come here.
SELECT fresh.* FROM fresh
WHERE EXISTS (
    SELECT 1 FROM {table} AS t
    WHERE t.{key} = fresh.id AND t.{key} = ANY (ARRAY(SELECT ids.id FROM fresh AS ids))
        AND recommender.as_text(t.skills) COLLATE "C" = fresh.skills COLLATE "C"
        AND {title} COLLATE "C" IS NOT DISTINCT FROM fresh.title COLLATE "C"
)

-- name: write_jobs_in_column
-- A part of others, for the guide's model.
written AS (
    UPDATE {table} AS t
    SET embedding = free.embedding, embedding_version = {version}
    FROM free
    WHERE t.{key} = free.id AND free.embedding IS NOT NULL
        AND t.{key} = ANY (ARRAY(SELECT ids.id FROM free AS ids))
        AND recommender.as_text(t.skills) COLLATE "C" = free.skills COLLATE "C"
    RETURNING t.{key} AS id, t.embedding = free.embedding AS is_kept
)

-- name: write_users_in_column
written AS (
    UPDATE recommender.user_state AS s
    SET embedding = free.embedding, embedding_version = {version}
    FROM free WHERE s.user_id = free.id AND free.embedding IS NOT NULL
    RETURNING s.user_id AS id, true AS is_kept
)

-- name: write_nothing
written AS (SELECT NULL)

-- name: write_in_table
-- For any other model. Of two rows with one id, the first.
renewed AS (
    UPDATE {embeddings} AS e SET embedding = free.embedding
    FROM free
    WHERE e.{key} = free.id AND e.embedding_version = {version}
        AND free.embedding IS NOT NULL
    RETURNING e.{key} AS id
), added AS (
    INSERT INTO {embeddings} ({key}, embedding_version, embedding)
    SELECT DISTINCT ON (free.id) free.id, {version}, free.embedding
    FROM free
    WHERE free.embedding IS NOT NULL AND free.id NOT IN (SELECT id FROM renewed)
    ON CONFLICT ({key}, embedding_version) DO NOTHING
    RETURNING {key} AS id
), written AS (
    SELECT id, true AS is_kept FROM renewed UNION ALL SELECT id, true FROM added
)

-- name: forgive
-- Rows that were stored are not in quarantine any more.
DELETE FROM recommender.failure WHERE entity = {entity} AND row_id = ANY (%(ids)s);

-- name: add_failure
-- Only for the text that failed: a row that was edited since stays pending.
WITH failed AS (
    UPDATE {state} AS s SET state = 'quarantined'
    FROM {table} AS t
    WHERE s.{key} = %(id)s::{id_type} AND t.{key} = s.{key}
        AND s.{key}::text = ANY (%(locked)s)
        AND recommender.as_text(t.skills) COLLATE "C" = %(text)s::text COLLATE "C"
    RETURNING s.{key}::text AS row_id
)
INSERT INTO recommender.failure (entity, row_id, reason)
SELECT DISTINCT {entity}, row_id, %(reason)s::text FROM failed
ON CONFLICT (entity, row_id) DO UPDATE
SET reason = excluded.reason, failed_at = excluded.failed_at;

-- name: failures
-- The rows in quarantine.
SELECT f.row_id, f.reason, f.failed_at
FROM recommender.failure AS f
JOIN {state} AS s ON s.{key}::text = f.row_id AND s.state = 'quarantined'
WHERE f.entity = {entity}
ORDER BY s.{key};

-- name: forget_failures
-- Let all of them out.
WITH forgotten AS (
    DELETE FROM recommender.failure WHERE entity = {entity}
)
UPDATE {state} SET state = 'pending', tries = 0 WHERE state = 'quarantined';
