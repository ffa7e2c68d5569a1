-- Why: the best jobs are looked up, and the backfill pages, by job_id; a primary key already does it.

DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_index
        WHERE indrelid = 'skill_job1'::regclass
          AND indisvalid
          AND indpred IS NULL
          AND indkey[0] = (
              SELECT attnum FROM pg_attribute
              WHERE attrelid = 'skill_job1'::regclass AND attname = 'job_id'
          )
    ) THEN
        CREATE INDEX skill_job1_job_id_idx ON skill_job1 (job_id);
    END IF;
END
$$;
