-- Why: a skill that few jobs list says more than one that most list, and a pass must know before it reads the jobs.

-- Statistics, like those of ANALYZE: the backfill counts now and then. They are in the
-- one row that every pass reads anyway, and that the roles have their grants for.
-- At place n of `job_counts`, as little-endian int32: how many jobs list skill n.
ALTER TABLE skill_vocabulary ADD COLUMN IF NOT EXISTS job_counts BYTEA;
ALTER TABLE skill_vocabulary ADD COLUMN IF NOT EXISTS jobs_counted INTEGER;

-- Another one with each counting.
ALTER TABLE skill_vocabulary ADD COLUMN IF NOT EXISTS counts_stamp UUID;

-- Void for any other vocabulary: the ids may mean other skills.
ALTER TABLE skill_vocabulary ADD COLUMN IF NOT EXISTS counted_vocabulary UUID;
