-- Why: rows that are older than the triggers have no state yet.
-- Repeatable: only after a trigger was created does it read the tables, and it locks none.

DO $$
DECLARE
    unfilled TEXT;
BEGIN
    FOR unfilled IN SELECT name FROM recommender.entity WHERE NOT is_filled ORDER BY name
    LOOP
        PERFORM recommender.reconcile(unfilled);
    END LOOP;
    PERFORM recommender.adopt();
END
$$;
