-- Why: jobs that have no vector yet are found, and those that have one are counted, without reading the table.

-- The conditions are those of app/storage/vector_queries.py, word for word, or
-- Postgres would not see that the indexes answer them. A new model brings new indexes.
CREATE INDEX IF NOT EXISTS skill_job1_vectorless_idx ON skill_job1 (job_id)
WHERE embedding_vec IS NULL
    AND coalesce(embedding_version, 'all-MiniLM-L6-v2') = 'all-MiniLM-L6-v2'
    AND octet_length(embedding) = 1536;

CREATE INDEX IF NOT EXISTS skill_job1_comparable_idx ON skill_job1 (job_id)
WHERE l2_norm(embedding_vec) > 0.5
    AND coalesce(embedding_version, 'all-MiniLM-L6-v2') = 'all-MiniLM-L6-v2'
    AND octet_length(embedding) = 1536;

-- Without these Postgres takes it that one row in 120,000 meets the conditions, and
-- would rather sort all of them than use the index of vectors. ANALYZE fills them.
CREATE STATISTICS IF NOT EXISTS skill_job1_comparable_stats
ON (l2_norm(embedding_vec)),
    (coalesce(embedding_version, 'all-MiniLM-L6-v2')),
    (octet_length(embedding))
FROM skill_job1;

-- The worker of migration 0020 writes vectors as well.
DO $$
BEGIN
    IF to_regrole('job_recommender_worker') IS NOT NULL THEN
        GRANT UPDATE (embedding_vec) ON skill_job1 TO job_recommender_worker;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'UPDATE (embedding_vec) was not granted: no right to';
END
$$;
