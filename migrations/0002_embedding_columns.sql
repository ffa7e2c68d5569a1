-- Why: an embedding is stored beside the text that it was made from, with the name of its model.

ALTER TABLE skill_job1 ADD COLUMN IF NOT EXISTS embedding BYTEA;
ALTER TABLE skill_job1 ADD COLUMN IF NOT EXISTS embedding_version VARCHAR(20);

-- 1,536 bytes of floats do not compress and are read in every scan: keep them in the
-- row, and move other long columns out of it first. Applies to values written later.
ALTER TABLE skill_job1 ALTER COLUMN embedding SET STORAGE MAIN;
