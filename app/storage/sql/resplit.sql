-- name: use_split
-- Texts are split by this version from now on.
SELECT recommender.use_split(%(version)s);

-- name: split_state
SELECT split_version, synonyms FROM recommender.skill_vocabulary;

-- name: any_due
-- Whether rows are to be split again, by this version.
SELECT EXISTS (SELECT 1 FROM recommender.resplit WHERE entity = {entity})
    AND (SELECT split_version FROM recommender.skill_vocabulary) = %(version)s;

-- name: tasks
SELECT resplit_id, row_ids, skills, done_to FROM recommender.resplit
WHERE entity = {entity} ORDER BY resplit_id LIMIT 100;

-- name: next_rows
-- Rows that are split, in the order of their ids. Others wait for a claim, and are split
-- anew then.
SELECT s.{key}::{id_type}, recommender.as_text(t.skills), {title}, s.skill_ids
FROM {state} AS s
JOIN {table} AS t ON t.{key} = s.{key}
WHERE s.state = 'embedded' AND s.skill_ids IS NOT NULL AND {is_single} AND {wanted}
ORDER BY s.{key}
LIMIT %(limit)s;

-- name: advance
-- Only from where the rows were read: another worker may have come further, and another
-- version may have begun anew.
UPDATE recommender.resplit SET done_to = %(done_to)s
WHERE resplit_id = %(task)s AND done_to IS NOT DISTINCT FROM %(was)s;

-- name: finish
DELETE FROM recommender.resplit
WHERE resplit_id = %(task)s AND done_to IS NOT DISTINCT FROM %(was)s;

-- name: forms_of
-- What forms with several meanings may have stood for till now.
SELECT DISTINCT s.canonical FROM recommender.synonym AS s
WHERE s.form = ANY (%(skills)s) AND EXISTS (
    SELECT 1 FROM recommender.synonym AS other
    WHERE other.form = s.form
        AND (other.canonical <> s.canonical OR other.context <> '')
);

-- name: ids_of
SELECT skill_id FROM recommender.skill WHERE skill = ANY (%(skills)s);

-- name: name_rows
-- The rows that have one of the task's skills.
UPDATE recommender.resplit SET row_ids = %(row_ids)s, skills = NULL
WHERE resplit_id = %(task)s AND skills IS NOT NULL;

-- name: note
-- Rows that were split by another version than the one in use, or could not be stored.
INSERT INTO recommender.resplit (entity, row_ids) VALUES ({entity}, %(row_ids)s);
