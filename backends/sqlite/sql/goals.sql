-- Goals. The whole document is stored; the columns of the old server are filled from it.

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

-- name: get_user_goals
SELECT id, user_id, title, goal_type, goal_type AS type, target_value, target_value AS target,
  current_value, current_value AS current, status, created_at, updated_at,
  COALESCE(document, json_patch('{}',
    '{"description":' || CASE WHEN description IS NULL THEN 'null'
      ELSE word_text(description, 'description', id) END ||
    ',"sport_type":' || CASE WHEN sport_type IS NULL THEN 'null'
      ELSE word_text(sport_type, 'sport_type', id) END ||
    ',"target_date":' || word_text(target_date, 'target_date', id) || '}')) AS document
FROM goals WHERE user_id = :user_id
ORDER BY created_us DESC, id DESC

-- name: update_goal_progress
UPDATE goals SET current_value = :current_value, updated_at = :now WHERE id = :goal_id
