-- Goals. The whole document is stored; the columns of the old server are filled from it.

-- columns: Goal g
g.id, g.user_id, g.title, g.goal_type, g.goal_type AS type, g.target_value,
g.target_value AS target, g.current_value, g.current_value AS current, g.status, g.created_at,
g.updated_at,
COALESCE(g.document, json_patch('{}',
  '{"description":' || CASE WHEN g.description IS NULL THEN 'null'
    ELSE word_text(g.description, 'description', g.id) END ||
  ',"sport_type":' || CASE WHEN g.sport_type IS NULL THEN 'null'
    ELSE word_text(g.sport_type, 'sport_type', g.id) END ||
  ',"target_date":' || word_text(g.target_date, 'target_date', g.id) || '}')) AS document

-- name: create_goal
INSERT INTO goals (id, user_id, title, description, goal_type, sport_type, target_value,
  target_date, current_value, status, created_at, updated_at, document)
VALUES (:new_id, :user_id, :title,
  CASE WHEN json_type(:goal_data, '$.description') = 'text' THEN json_extract(:goal_data,
    '$.description') END,
  :goal_type,
  CASE WHEN json_type(:goal_data, '$.sport_type') = 'text' THEN json_extract(:goal_data,
    '$.sport_type') END,
  :target_value,
  CASE WHEN json_type(:goal_data, '$.target_date') = 'text' THEN json_extract(:goal_data,
    '$.target_date')
    WHEN json_type(:goal_data, '$.deadline') = 'text' THEN json_extract(:goal_data, '$.deadline')
      ELSE '' END,
  :current_value, 'active', :now, :now, :goal_data)
RETURNING id AS result

-- Pages: the first branch is the list from its beginning, the second what follows a row. A time
-- that is none has no place in the order: its row, which cannot be read, is in every page. The last
-- branch says that the list has no such row.
-- name: get_user_goals
WITH place AS (
  SELECT created_us, id FROM goals
  WHERE id IN (:after, replace(:after, '-', '')) AND user_id = :user_id)
SELECT * FROM (
  SELECT {Goal g} FROM goals g WHERE :after IS NULL AND g.user_id = :user_id
  ORDER BY g.created_us DESC, g.id DESC LIMIT COALESCE(:limit, -1))
UNION ALL
SELECT * FROM (
  SELECT {Goal g} FROM goals g WHERE g.user_id = :user_id
    AND (g.created_us, g.id) < ((SELECT created_us FROM place), (SELECT id FROM place))
  ORDER BY g.created_us DESC, g.id DESC LIMIT COALESCE(:limit, -1))
UNION ALL
SELECT {Goal g} FROM goals g
WHERE :after IS NOT NULL AND g.user_id = :user_id AND g.created_us IS NULL
UNION ALL
SELECT {NULL Goal} WHERE :after IS NOT NULL AND NOT EXISTS (SELECT 1 FROM place)

-- name: update_goal_progress
UPDATE goals SET current_value = :current_value, updated_at = :now WHERE id = :goal_id
  AND user_id = COALESCE(:user_id, user_id)
