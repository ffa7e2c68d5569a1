-- Why: a database of the layout before had our columns and tables among the team's; what they hold moves.

-- Does nothing where there was none. Texts are not embedded again; vectors of pgvector
-- are made from the embeddings anew (migrate.py --with pgvector, generate_embeddings.py).
DO $$
DECLARE
    jobs CONSTANT REGCLASS := (SELECT relation FROM recommender.entity WHERE name = 'jobs');
    users CONSTANT REGCLASS := (SELECT relation FROM recommender.entity WHERE name = 'users');
    part RECORD;
BEGIN
    IF to_regclass('skill_vocabulary') IS NULL
        OR NOT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = jobs
                       AND attname = 'skill_ids' AND NOT attisdropped) THEN
        RETURN;
    END IF;

    FOR part IN
        SELECT tgname, tgrelid::regclass AS relation FROM pg_trigger
        WHERE tgrelid IN (jobs, users) AND tgname IN (
            'zz_forget_embedding', 'zz_announce_new_texts', 'zz_forget_skill_ids',
            'forget_skill_ids', 'zzz_forget_vector')
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', part.tgname, part.relation);
    END LOOP;

    -- In the order of their ids, which the lists of ids name.
    INSERT INTO recommender.skill (skill_id, skill, embedding, embedding_version)
    SELECT skill_id, skill, embedding, embedding_version FROM skill ORDER BY skill_id
    ON CONFLICT DO NOTHING;
    PERFORM setval(pg_get_serial_sequence('recommender.skill', 'skill_id'),
                   greatest(max(skill_id), 1)) FROM recommender.skill;

    EXECUTE format(
        'INSERT INTO recommender.job_state (job_id, state, text_hash, copies, skill_ids)'
        ' SELECT job_id, max(recommender.state_of(recommender.as_text(skills), embedding,'
        ' embedding_version)), max(recommender.text_hash(recommender.as_text(skills))),'
        ' count(*),'
        ' CASE WHEN count(*) = 1 THEN (array_agg(skill_ids))[1] END'
        ' FROM %s WHERE job_id IS NOT NULL GROUP BY job_id ON CONFLICT DO NOTHING', jobs);
    IF EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = users
               AND attname = 'skill_ids' AND NOT attisdropped) THEN
        EXECUTE format(
            'INSERT INTO recommender.user_state'
            ' (user_id, state, text_hash, embedding, embedding_version, skill_ids)'
            ' SELECT DISTINCT ON (user_id) user_id, recommender.state_of('
            'recommender.as_text(skills), embedding, embedding_version),'
            ' recommender.text_hash(recommender.as_text(skills)), embedding,'
            ' embedding_version, skill_ids FROM %s WHERE user_id IS NOT NULL'
            ' AND recommender.as_text(skills) COLLATE "default" ~ ''[^[:space:]]'''
            ' ON CONFLICT DO NOTHING', users);
    END IF;

    -- Quarantine, for texts that are still those that failed.
    FOR part IN
        SELECT * FROM (VALUES
            ('skill_job1', 'jobs', 'job_state', 'job_id', jobs),
            ('users', 'users', 'user_state', 'user_id', users)
        ) AS listed (old_name, entity, state_table, key, relation)
    LOOP
        EXECUTE format(
            'WITH failed AS (INSERT INTO recommender.failure'
            ' (entity, row_id, reason, failed_at)'
            ' SELECT %L, f.row_id, f.reason, f.failed_at FROM embedding_failure AS f'
            ' JOIN %s AS t ON t.%I::text = f.row_id'
            ' AND f.text_sha256 = sha256(convert_to(recommender.as_text(t.skills), ''UTF8''))'
            ' WHERE f.table_name = %L ON CONFLICT DO NOTHING RETURNING row_id)'
            ' UPDATE recommender.%I AS s SET state = ''quarantined'' FROM failed'
            ' WHERE s.%I::text = failed.row_id AND s.state <> ''embedded''',
            part.entity, part.relation, part.key, part.old_name, part.state_table, part.key);
    END LOOP;

    -- --- what was ours among the team's -----------------------------------------------
    DROP INDEX IF EXISTS skill_job1_unembedded_idx, users_unembedded_idx;
    DROP STATISTICS IF EXISTS skill_job1_comparable_stats;
    EXECUTE format('ALTER TABLE %s DROP COLUMN IF EXISTS skill_ids,'
        ' DROP COLUMN IF EXISTS embedding_vec, RESET (toast_tuple_target)', jobs);
    EXECUTE format('ALTER TABLE %s DROP COLUMN IF EXISTS skill_ids,'
        ' DROP COLUMN IF EXISTS embedding, DROP COLUMN IF EXISTS embedding_version', users);
    DROP TABLE skill, skill_vocabulary;
    DROP TABLE IF EXISTS embedding_claim, embedding_failure, embedding_lease;
    DROP FUNCTION IF EXISTS forget_embedding_of_old_text(), announce_new_texts(),
        forget_skill_ids(), forget_vector_of_old_embedding(), skill_next_revision(),
        skill_set_revision(), skill_new_vocabulary();

    -- The record that yoyo kept, unless somebody else's is in it.
    IF to_regclass('_yoyo_migration') IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM _yoyo_migration WHERE migration_id !~ '^[01]0[0-4][0-9]_'
    ) THEN
        DROP TABLE IF EXISTS _yoyo_migration, _yoyo_log, _yoyo_version, yoyo_lock;
    END IF;
    UPDATE recommender.entity SET is_filled = false;
END
$$;
