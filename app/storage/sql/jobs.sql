-- name: stream_embeddings
-- COPY BINARY records of every embedding of a version. The spare int2 (its 4 bytes of length and 2
-- of value) makes every record a multiple of eight bytes with the floats on an
-- eight-byte boundary, so that BLAS reads them in place; without it each batch would
-- be copied first.
SELECT {key}::{id_type}, 0::int2, embedding
FROM {embeddings}
WHERE {key} IS NOT NULL AND {sound};

-- name: by_id
-- The columns of a job in a response, as a JSON object in their order.
SELECT to_json(ROW({key}::{id_type}, recommender.as_text(skills), {title}{columns}))
FROM {table} AS t
WHERE {key} = ANY ({ids}::{id_type}[]);

-- name: values_by_id
-- Values of columns of some jobs, as JSON.
SELECT {key}::{id_type}{columns} FROM {table} WHERE {key} = ANY (%(ids)s::{id_type}[]);

-- name: embeddings_by_id
SELECT {key}::{id_type}, embedding FROM {embeddings}
WHERE {key} = ANY (%(ids)s::{id_type}[]) AND {sound};
