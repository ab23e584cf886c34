-- The log of requests made with API keys, and its evaluations.

-- columns: RequestLog u
u.id::text AS id, u.timestamp, k.id AS api_key_id, k.name AS api_key_name,
u.tool_name, u.status_code, u.response_time_ms, u.error_message,
u.request_size_bytes, u.response_size_bytes

-- name: record_api_key_usage
INSERT INTO api_key_usage (api_key, timestamp, tool_name, response_time_ms, status_code,
  error_message, request_size_bytes, response_size_bytes, ip_address, ip_text, user_agent)
SELECT number, :timestamp, :tool_name, :response_time_ms, :status_code, :error_message,
  :request_size_bytes, :response_size_bytes, :ip_address, :ip_address_exact, :user_agent
FROM api_keys WHERE id = :api_key_id

-- name: get_api_key_current_usage
SELECT count(*) AS result FROM api_key_usage
WHERE api_key = (SELECT number FROM api_keys WHERE id = :api_key_id)
  AND timestamp >= :month_start

-- name: get_api_key_usage_stats
WITH tools AS (
  SELECT tool_name, count(*) AS requests,
    count(*) FILTER (WHERE status_code BETWEEN 200 AND 299) AS successful,
    count(*) FILTER (WHERE status_code >= 400) AS failed, sum(response_time_ms) AS time_ms
  FROM api_key_usage
  WHERE api_key = (SELECT number FROM api_keys WHERE id = :api_key_id)
    AND timestamp >= :start_date AND timestamp < :end_date
  GROUP BY tool_name)
SELECT :api_key_id AS api_key_id, :start_date AS period_start, :end_date AS period_end,
  COALESCE(sum(requests), 0)::bigint AS total_requests,
  COALESCE(sum(successful), 0)::bigint AS successful_requests,
  COALESCE(sum(failed), 0)::bigint AS failed_requests,
  COALESCE(sum(time_ms), 0)::bigint AS total_response_time_ms,
  COALESCE(json_object_agg(tool_name, requests ORDER BY tool_name COLLATE "C"),
    '{}')::text AS tool_usage
FROM tools

-- Two branches, only one of which returns rows: by the key's index, or by time alone.
-- name: get_request_logs
SELECT * FROM (
  SELECT {RequestLog u}
  FROM api_key_usage u JOIN api_keys k ON k.number = u.api_key
  WHERE :api_key_id IS NOT NULL AND u.api_key = (SELECT number FROM api_keys
    WHERE id = :api_key_id)
    AND u.timestamp >= COALESCE(:start_time, '-infinity')
    AND u.timestamp <= COALESCE(:end_time, 'infinity')
    AND CASE :status_filter WHEN 'success' THEN u.status_code BETWEEN 200 AND 299
      WHEN 'error' THEN u.status_code >= 400 ELSE true END
    AND (:tool_filter = 'all' OR u.tool_name = :tool_filter)
  ORDER BY u.timestamp DESC, u.id DESC LIMIT :limit) AS logs
UNION ALL
SELECT * FROM (
  SELECT {RequestLog u}
  FROM api_key_usage u JOIN api_keys k ON k.number = u.api_key
  WHERE :api_key_id IS NULL
    AND u.timestamp >= COALESCE(:start_time, '-infinity')
    AND u.timestamp <= COALESCE(:end_time, 'infinity')
    AND CASE :status_filter WHEN 'success' THEN u.status_code BETWEEN 200 AND 299
      WHEN 'error' THEN u.status_code >= 400 ELSE true END
    AND (:tool_filter = 'all' OR u.tool_name = :tool_filter)
  ORDER BY u.timestamp DESC, u.id DESC LIMIT :limit) AS logs

-- name: get_system_stats
SELECT (SELECT count(*) FROM users) AS user_count,
  (SELECT count(*) FROM api_keys WHERE is_active) AS api_key_count

-- name: get_top_tools_analysis
SELECT u.tool_name AS tool_name, count(*) AS request_count,
  100.0::double precision * count(*) FILTER (WHERE u.status_code BETWEEN 200 AND 299) / count(*)
    AS success_rate,
  COALESCE(sum(u.response_time_ms)::double precision / NULLIF(count(u.response_time_ms), 0),
    0.0) AS average_response_time
FROM api_keys k JOIN api_key_usage u ON u.api_key = k.number
WHERE k.user_id = :user_id AND u.timestamp >= :start_time AND u.timestamp <= :end_time
GROUP BY u.tool_name
ORDER BY request_count DESC, u.tool_name COLLATE "C"
LIMIT 10
