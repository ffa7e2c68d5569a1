-- name: target_columns
-- Columns of a table with their types; a domain counts as what it stands for.
SELECT
    a.attname, format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL),
    a.attgenerated <> '', a.attidentity = 'a'
FROM pg_attribute AS a
JOIN pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = to_regclass(%(table)s) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum;

-- name: stage
-- A table for the rows of a file, with their lines.
CREATE TEMPORARY TABLE imported ON COMMIT DROP AS
SELECT 0::bigint AS {line}, {columns} FROM {table} WITH NO DATA;

-- name: duplicates
-- Ids that come more than once, with the first two lines of each.
SELECT {key}::text, (array_agg({line} ORDER BY {line}))[1:2], count(*) OVER ()
FROM imported
GROUP BY {key} HAVING count(*) > 1
ORDER BY min({line})
LIMIT %(limit)s;

-- name: without_id
-- The first line without an id.
SELECT min({line}) FROM imported WHERE {key} IS NULL;

-- name: update
-- Rows that are there and differ.
UPDATE {table} AS old SET {assignments}
FROM imported AS new
WHERE old.{key} = new.{key} AND ({differences});

-- name: insert
-- Rows that are new; also where ids are GENERATED ALWAYS: the file has ids of its own.
INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE
SELECT {columns} FROM imported AS new
WHERE NOT EXISTS (SELECT 1 FROM {table} AS old WHERE old.{key} = new.{key})
ORDER BY {line};

-- name: sequences
-- The sequences that fill a column when a row comes without it: of an identity column,
-- of a serial one, and of any default that calls nextval.
SELECT DISTINCT a.attname, d.objid::regclass::text
FROM pg_depend AS d
JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.deptype IN ('a', 'i') AND d.refobjid = to_regclass(%(table)s)
UNION
SELECT a.attname, d.refobjid::regclass::text
FROM pg_attrdef AS f
JOIN pg_depend AS d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
JOIN pg_class AS s ON s.oid = d.refobjid AND s.relkind = 'S'
JOIN pg_attribute AS a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
WHERE d.refclassid = 'pg_class'::regclass AND f.adrelid = to_regclass(%(table)s);

-- name: move_sequence
-- Beyond the ids of the file; never back: another session may have drawn numbers since.
SELECT setval(p.seqrelid, furthest.value)
FROM pg_sequence AS p, LATERAL (
    SELECT CASE WHEN p.seqincrement > 0 THEN max({column}) ELSE min({column}) END
    FROM imported
) AS furthest (value), LATERAL (
    SELECT coalesce(pg_sequence_last_value(p.seqrelid), p.seqstart)
) AS present (value)
WHERE p.seqrelid = %(sequence)s::regclass
    AND furthest.value BETWEEN p.seqmin AND p.seqmax
    AND (furthest.value - present.value) * sign(p.seqincrement) >= 0;
