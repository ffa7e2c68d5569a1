-- Why: workers share the rows to embed through leases that outlive no dead worker, and remember rows that failed.

-- One row for each batch that a worker has in hand; it ends with the batch, or when
-- its time is up.
CREATE TABLE IF NOT EXISTS embedding_claim (
    claim_id UUID PRIMARY KEY,
    table_name TEXT NOT NULL,
    row_ids TEXT[] NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);

-- Rows in quarantine. The digest is that of the text that failed: an edited text is
-- tried again by itself.
CREATE TABLE IF NOT EXISTS embedding_failure (
    table_name TEXT NOT NULL,
    row_id TEXT NOT NULL,
    text_sha256 BYTEA NOT NULL,
    reason TEXT NOT NULL,
    failed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (table_name, row_id)
);

-- Who may embed inside the service: one instance at a time.
CREATE TABLE IF NOT EXISTS embedding_lease (
    name TEXT PRIMARY KEY,
    holder UUID NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);

-- Supabase grants every new table of this schema to the roles of its public API.
DO $$
DECLARE
    api_role TEXT;
BEGIN
    FOR api_role IN
        SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated')
    LOOP
        EXECUTE format(
            'REVOKE ALL ON embedding_claim, embedding_failure, embedding_lease FROM %I',
            api_role
        );
    END LOOP;
END
$$;
