-- Why: a user's embedding that is stored need not be computed when the user asks.

ALTER TABLE users ADD COLUMN IF NOT EXISTS embedding BYTEA;
ALTER TABLE users ADD COLUMN IF NOT EXISTS embedding_version VARCHAR(20);

-- The same as for the jobs, see 0010.
CREATE OR REPLACE TRIGGER zz_forget_embedding
BEFORE UPDATE ON users FOR EACH ROW
WHEN (OLD.embedding IS NOT DISTINCT FROM NEW.embedding)
EXECUTE FUNCTION forget_embedding_of_old_text();

CREATE OR REPLACE TRIGGER zz_announce_new_texts
AFTER INSERT ON users FOR EACH STATEMENT
EXECUTE FUNCTION announce_new_texts();
