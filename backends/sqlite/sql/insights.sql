-- Insights. The whole document is stored; the columns of the old server are filled from it.

-- columns: Insight i
i.id, i.user_id, i.insight_type, i.created_at,
COALESCE(i.document, '{' || substr(
  CASE WHEN i.activity_id IS NOT NULL THEN ',"activity_id":' ||
    word_text(i.activity_id, 'activity_id', i.id) ELSE '' END ||
  ',"title":' || word_text(i.title, 'title', i.id) || ',"description":' ||
    word_text(i.description, 'description', i.id) ||
  ',"confidence":' || real_text(i.confidence, 'confidence', i.id) || ',"severity":' ||
    word_text(i.severity, 'severity', i.id) ||
  CASE WHEN i.metadata IS NULL THEN '' WHEN json_valid(i.metadata)
    THEN ',"metadata":' || i.metadata
    ELSE ',"metadata":' || word_text(i.metadata, 'metadata', i.id) END, 2) || '}') AS document

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

-- Pages: see goals.sql.
-- name: get_user_insights
WITH place AS (
  SELECT created_us, id FROM analytics_insights
  WHERE id IN (:after, replace(:after, '-', '')) AND user_id = :user_id
    AND (:insight_type IS NULL OR insight_type = :insight_type))
SELECT * FROM (
  SELECT {Insight i} FROM analytics_insights i
  WHERE :after IS NULL AND i.user_id = :user_id
    AND (:insight_type IS NULL OR i.insight_type = :insight_type)
  ORDER BY i.created_us DESC, i.id DESC LIMIT :limit)
UNION ALL
SELECT * FROM (
  SELECT {Insight i} FROM analytics_insights i
  WHERE i.user_id = :user_id
    AND (i.created_us, i.id) < ((SELECT created_us FROM place), (SELECT id FROM place))
    AND (:insight_type IS NULL OR i.insight_type = :insight_type)
  ORDER BY i.created_us DESC, i.id DESC LIMIT :limit)
UNION ALL
SELECT {Insight i} FROM analytics_insights i
WHERE :after IS NOT NULL AND i.user_id = :user_id AND i.created_us IS NULL
  AND (:insight_type IS NULL OR i.insight_type = :insight_type)
UNION ALL
SELECT {NULL Insight} WHERE :after IS NOT NULL AND NOT EXISTS (SELECT 1 FROM place)
