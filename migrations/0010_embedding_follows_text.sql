-- Why: an edited job keeps the embedding of its old text for ever unless the database itself forgets it.

-- Whatever changes the text, be it plain SQL, an upsert or an ORM that writes all
-- columns, the old embedding goes in the same statement. The C collation: two texts
-- that a column's own collation calls equal are still two texts. Postgres sends equal
-- notices of one transaction once; they wake `generate_embeddings.py --watch`.
CREATE OR REPLACE FUNCTION forget_embedding_of_old_text() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.skills::text COLLATE "C" IS DISTINCT FROM NEW.skills::text COLLATE "C" THEN
        NEW.embedding := NULL;
        NEW.embedding_version := NULL;
        PERFORM pg_catalog.pg_notify('embedding_wanted', TG_TABLE_NAME);
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION announce_new_texts() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('embedding_wanted', TG_TABLE_NAME);
    RETURN NULL;
END
$$;

-- A statement that brings another embedding along keeps that one. Triggers fire in the
-- order of their names: this one comes last, so that it sees the text as others left
-- it. It names no column but `embedding`, or Postgres would refuse to change the type
-- of that column.
CREATE OR REPLACE TRIGGER zz_forget_embedding
BEFORE UPDATE ON skill_job1 FOR EACH ROW
WHEN (OLD.embedding IS NOT DISTINCT FROM NEW.embedding)
EXECUTE FUNCTION forget_embedding_of_old_text();

CREATE OR REPLACE TRIGGER zz_announce_new_texts
AFTER INSERT ON skill_job1 FOR EACH STATEMENT
EXECUTE FUNCTION announce_new_texts();
