-- Insights.

-- columns: Insight i
i.id, i.user_id, i.insight_type, i.created_at,
COALESCE(i.document_exact, i.document::text) AS document

-- name: store_insight
INSERT INTO analytics_insights (id, user_id, insight_type, created_at, document, document_exact)
VALUES (:new_id, :user_id, :insight_type, :now, :insight_data, :insight_data_exact)
RETURNING id AS result

-- Pages: see goals.sql.
-- name: get_user_insights
WITH place AS MATERIALIZED (
  SELECT created_at, id FROM analytics_insights
  WHERE id = :after AND user_id = :user_id
    AND (:insight_type IS NULL OR insight_type = :insight_type))
SELECT * FROM (
  SELECT {Insight i} FROM analytics_insights i
  WHERE :after IS NULL AND i.user_id = :user_id
    AND (:insight_type IS NULL OR i.insight_type = :insight_type)
  ORDER BY i.created_at DESC, i.id DESC LIMIT :limit) AS beginning
UNION ALL
SELECT * FROM (
  SELECT {Insight i} FROM analytics_insights i
  WHERE :after IS NOT NULL AND i.user_id = :user_id
    AND (i.created_at, i.id) < ((SELECT created_at FROM place), (SELECT id FROM place))
    AND (:insight_type IS NULL OR i.insight_type = :insight_type)
  ORDER BY i.created_at DESC, i.id DESC LIMIT :limit) AS rest
UNION ALL
SELECT {NULL Insight} WHERE :after IS NOT NULL AND NOT EXISTS (SELECT 1 FROM place)
