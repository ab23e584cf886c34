-- Insights. The whole document is stored; the columns of the old server are filled from it.

-- name: store_insight
INSERT INTO analytics_insights (id, user_id, activity_id, insight_type, title, description,
  confidence, severity, metadata, created_at, document)
VALUES (:new_id, :user_id,
  CASE WHEN json_type(:insight_data, '$.activity_id') = 'text' THEN json_extract(:insight_data,
    '$.activity_id') END,
  :insight_type,
  CASE WHEN json_type(:insight_data, '$.title') = 'text' THEN json_extract(:insight_data, '$.title')
    ELSE '' END,
  CASE WHEN json_type(:insight_data, '$.description') = 'text' THEN json_extract(:insight_data,
    '$.description') ELSE '' END,
  CASE WHEN json_type(:insight_data, '$.confidence') IN ('integer', 'real')
    THEN json_extract(:insight_data, '$.confidence')
    ELSE 0.0 END,
  CASE WHEN json_type(:insight_data, '$.severity') = 'text' THEN json_extract(:insight_data,
    '$.severity') ELSE 'info' END,
  json_extract(:insight_data, '$.metadata'), :now, :insight_data)
RETURNING id AS result

-- name: get_user_insights
SELECT id, user_id, insight_type, created_at,
  COALESCE(document, '{' || substr(
    CASE WHEN activity_id IS NOT NULL THEN ',"activity_id":' ||
      word_text(activity_id, 'activity_id', id) ELSE '' END ||
    ',"title":' || word_text(title, 'title', id) || ',"description":' ||
      word_text(description, 'description', id) ||
    ',"confidence":' || real_text(confidence, 'confidence', id) || ',"severity":' ||
      word_text(severity, 'severity', id) ||
    CASE WHEN metadata IS NULL THEN '' WHEN json_valid(metadata) THEN ',"metadata":' || metadata
      ELSE ',"metadata":' || word_text(metadata, 'metadata', id) END, 2) || '}') AS document
FROM analytics_insights
WHERE user_id = :user_id AND (:insight_type IS NULL OR insight_type = :insight_type)
ORDER BY created_us DESC, id DESC
LIMIT :limit
