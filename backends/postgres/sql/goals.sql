-- Goals.

-- columns: Goal g
g.id, g.user_id, g.title, g.goal_type, g.goal_type AS type, g.target_value,
g.target_value AS target, g.current_value, g.current_value AS current, g.status, g.created_at,
g.updated_at, COALESCE(g.document_exact, g.document::text) AS document

-- name: create_goal
INSERT INTO goals (id, user_id, title, goal_type, target_value, current_value, status, created_at,
  updated_at, document, document_exact)
VALUES (:new_id, :user_id, :title, :goal_type, :target_value, :current_value, 'active', :now, :now,
  :goal_data, :goal_data_exact)
RETURNING id AS result

-- Pages: the first branch is the list from its beginning, the second what follows a row. The last
-- one says that the list has no such row.
-- name: get_user_goals
WITH place AS MATERIALIZED (
  SELECT created_at, id FROM goals WHERE id = :after AND user_id = :user_id)
SELECT * FROM (
  SELECT {Goal g} FROM goals g WHERE :after IS NULL AND g.user_id = :user_id
  ORDER BY g.created_at DESC, g.id DESC LIMIT :limit) AS beginning
UNION ALL
SELECT * FROM (
  SELECT {Goal g} FROM goals g WHERE :after IS NOT NULL AND g.user_id = :user_id
    AND (g.created_at, g.id) < ((SELECT created_at FROM place), (SELECT id FROM place))
  ORDER BY g.created_at DESC, g.id DESC LIMIT :limit) AS rest
UNION ALL
SELECT {NULL Goal} WHERE :after IS NOT NULL AND NOT EXISTS (SELECT 1 FROM place)

-- name: update_goal_progress
UPDATE goals SET current_value = :current_value, updated_at = :now WHERE id = :goal_id
  AND user_id = COALESCE(:user_id, user_id)
