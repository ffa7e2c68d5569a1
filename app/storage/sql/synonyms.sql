-- name: meanings
-- What the team says that these forms stand for.
SELECT form, canonical, context FROM recommender.synonym WHERE form = ANY (%(forms)s);

-- name: removed
-- Pairs of these forms that the new ones replace.
DELETE FROM recommender.synonym AS s
WHERE s.form = ANY (%(forms)s) AND NOT EXISTS (
    SELECT 1 FROM unnest(%(forms)s::text[], %(canonicals)s::text[], %(contexts)s::text[])
        AS new (form, canonical, context)
    WHERE (new.form, new.canonical, new.context) = (s.form, s.canonical, s.context)
);

-- name: add
INSERT INTO recommender.synonym (form, canonical, context)
SELECT new.form, new.canonical, new.context
FROM unnest(%(forms)s::text[], %(canonicals)s::text[], %(contexts)s::text[])
    AS new (form, canonical, context)
WHERE NOT EXISTS (
    SELECT 1 FROM recommender.synonym AS s
    WHERE (s.form, s.canonical) = (new.form, new.canonical)
);
