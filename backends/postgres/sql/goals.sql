-- Goals.

-- name: create_goal
INSERT INTO goals (id, user_id, title, goal_type, target_value, current_value, status, created_at,
  updated_at, document, document_exact)
VALUES (:new_id, :user_id, :title, :goal_type, :target_value, :current_value, 'active', :now, :now,
  :goal_data, :goal_data_exact)
RETURNING id AS result

-- name: get_user_goals
SELECT id, user_id, title, goal_type, goal_type AS type, target_value, target_value AS target,
  current_value, current_value AS current, status, created_at, updated_at,
  COALESCE(document_exact, document::text) AS document
FROM goals WHERE user_id = :user_id
ORDER BY created_at DESC, id DESC

-- name: update_goal_progress
UPDATE goals SET current_value = :current_value, updated_at = :now WHERE id = :goal_id
