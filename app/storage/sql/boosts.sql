-- name: stream_factors
-- What the score of each job is multiplied by; conditions follow.
SELECT {key}::{id_type}, ({factor})::float8 FROM {table} WHERE {key} IS NOT NULL;

-- name: freshness
-- A part of it: halved after each half-life, down to a least value; 1 without a date and
-- for one in the future. greatest() ignores null, and an exponent of 200 does not
-- underflow.
greatest({least}::float8, power(0.5::float8, least(200::float8, greatest(
    0::float8, {now_s}::float8 - extract(epoch FROM {column})::float8
) / {half_life_s}::float8)));

-- name: boost
-- A part of it: the value within limits; 1 without one, which least() would ignore, and
-- for NaN, which is greater than all numbers.
CASE WHEN {column} IS NULL OR {column}::text = 'NaN' THEN 1::float8
    ELSE greatest({least}, least({greatest}, {column}))::float8 END;
