-- Why: rows that are older than the triggers have no state yet.
-- Repeatable: it reads a table only after a trigger was created or partitions changed, and
-- it locks none.

DO $$
DECLARE
    unfilled TEXT;
BEGIN
    FOR unfilled IN
        SELECT name FROM recommender.entity
        WHERE NOT is_filled OR parts IS DISTINCT FROM recommender.parts_of(relation)
        ORDER BY name
    LOOP
        PERFORM recommender.reconcile(unfilled);
    END LOOP;
    PERFORM recommender.adopt();
END
$$;
