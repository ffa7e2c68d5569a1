-- Why: which jobs were shown to whom tells, with the feedback, whether a ranking helps.
-- Repeatable: rows that are there are kept.

-- Only written with EXPOSURE_DAYS. Ids as text, and no foreign key, as in
-- recommender.feedback. One row per answer: ten jobs take 230 bytes, and 50 in the
-- indexes.
CREATE TABLE IF NOT EXISTS recommender.exposure (
    user_id TEXT COLLATE "C" NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    job_ids TEXT[] COLLATE "C" NOT NULL,
    is_first_page BOOLEAN NOT NULL,
    compared TEXT,
    teams TEXT
);

CREATE INDEX IF NOT EXISTS exposure_user_idx ON recommender.exposure (user_id);
CREATE INDEX IF NOT EXISTS exposure_at_idx ON recommender.exposure (at);
