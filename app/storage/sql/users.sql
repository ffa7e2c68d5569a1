-- name: by_id
-- The text, and the stored embedding if this model made it. Base64 takes two thirds of
-- the bytes that the driver would receive for a BYTEA.
SELECT
    t.{key}::{id_type}, recommender.as_text(t.skills),
    encode({stored}, 'base64'),
    {events}
FROM {table} AS t
WHERE t.{key} = ANY (%(ids)s::{id_type}[]);

-- name: stream_embeddings
-- As `stream_embeddings` of the jobs, from a table of ours.
SELECT {key}::{id_type}, 0::int2, embedding FROM {embeddings} WHERE {sound};

-- name: count
-- The number of users; for a large table, the estimate of the statistics.
SELECT CASE
    WHEN c.relkind = 'r' AND pg_relation_size(c.oid) < 1000000
        THEN (SELECT count(*) FROM {table})
    ELSE greatest(c.reltuples::bigint, (SELECT count(*) FROM recommender.user_state))
END
FROM recommender.entity AS e JOIN pg_class AS c ON c.oid = e.relation
WHERE e.name = 'users';
