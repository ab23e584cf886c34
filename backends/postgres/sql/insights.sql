-- Insights.

-- name: store_insight
INSERT INTO analytics_insights (id, user_id, insight_type, created_at, document, document_exact)
VALUES (:new_id, :user_id, :insight_type, :now, :insight_data, :insight_data_exact)
RETURNING id AS result

-- name: get_user_insights
SELECT id, user_id, insight_type, created_at, COALESCE(document_exact, document::text) AS document
FROM analytics_insights
WHERE user_id = :user_id AND (:insight_type IS NULL OR insight_type = :insight_type)
ORDER BY created_at DESC, id DESC
LIMIT :limit
