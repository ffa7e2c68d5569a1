-- Why: what waits for an embedding is found and counted without reading the whole table.

-- The condition is that of `UNEMBEDDED` in app/storage/queries.py, word for word, or
-- Postgres would not see that the index answers it. A new model brings a new index.
CREATE INDEX IF NOT EXISTS skill_job1_unembedded_idx ON skill_job1 (job_id)
WHERE coalesce(skills, '') ~ '[^[:space:]]' AND (
    embedding IS NULL
    OR NOT coalesce(embedding_version, 'all-MiniLM-L6-v2') = 'all-MiniLM-L6-v2'
    OR NOT octet_length(embedding) = 1536
);

CREATE INDEX IF NOT EXISTS users_unembedded_idx ON users (user_id)
WHERE coalesce(skills, '') ~ '[^[:space:]]' AND (
    embedding IS NULL
    OR NOT coalesce(embedding_version, 'all-MiniLM-L6-v2') = 'all-MiniLM-L6-v2'
    OR NOT octet_length(embedding) = 1536
);
