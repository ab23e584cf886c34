-- The log of requests made with API keys, and its evaluations.

-- columns: RequestLog u
CAST(u.id AS TEXT) AS id, u.timestamp, u.api_key_id, k.name AS api_key_name,
u.tool_name, u.status_code, u.response_time_ms, u.error_message,
u.request_size_bytes, u.response_size_bytes

-- name: record_api_key_usage
INSERT INTO api_key_usage (api_key_id, timestamp, tool_name, response_time_ms, status_code,
  error_message, request_size_bytes, response_size_bytes, ip_address, user_agent)
VALUES (:api_key_id, :timestamp, :tool_name, :response_time_ms, :status_code, :error_message,
  :request_size_bytes, :response_size_bytes, :ip_address, :user_agent)

-- name: get_api_key_current_usage
SELECT count(*) AS result FROM api_key_usage WHERE api_key_id = :api_key_id
  AND timestamp_us >= micros(:month_start)

-- name: get_api_key_usage_stats
WITH tools AS (
  SELECT tool_name, count(*) AS requests, sum(status_code BETWEEN 200 AND 299) AS successful,
    sum(status_code >= 400) AS failed, sum(response_time_ms) AS time_ms
  FROM api_key_usage
  WHERE api_key_id = :api_key_id AND timestamp_us >= micros(:start_date)
    AND timestamp_us < micros(:end_date) AND
    CASE WHEN typeof(status_code) <> 'integer' THEN unsound('status_code', id)
      WHEN typeof(response_time_ms) NOT IN ('integer', 'null')
        THEN unsound('response_time_ms', id) ELSE 1 END
  GROUP BY tool_name ORDER BY tool_name)
SELECT :api_key_id AS api_key_id, :start_date AS period_start, :end_date AS period_end,
  COALESCE(sum(requests), 0) AS total_requests, COALESCE(sum(successful), 0) AS successful_requests,
  COALESCE(sum(failed), 0) AS failed_requests, COALESCE(sum(time_ms), 0) AS total_response_time_ms,
  json_group_object(tool_name, requests) AS tool_usage
FROM tools

-- Two branches, only one of which returns rows: by the key's index, or by time alone.
-- name: get_request_logs
SELECT * FROM (
  SELECT {RequestLog u}
  FROM api_key_usage u JOIN api_keys k ON k.id = u.api_key_id
  WHERE :api_key_id IS NOT NULL AND u.api_key_id = :api_key_id
    AND u.timestamp_us >= COALESCE(micros(:start_time), -9223372036854775808)
    AND u.timestamp_us <= COALESCE(micros(:end_time), 9223372036854775807)
    AND CASE :status_filter WHEN 'success' THEN u.status_code BETWEEN 200 AND 299
      WHEN 'error' THEN u.status_code >= 400 ELSE 1 END
    AND (:tool_filter = 'all' OR u.tool_name = :tool_filter)
  ORDER BY u.timestamp_us DESC, u.id DESC LIMIT :limit)
UNION ALL
SELECT * FROM (
  SELECT {RequestLog u}
  FROM api_key_usage u CROSS JOIN api_keys k ON k.id = u.api_key_id
  WHERE :api_key_id IS NULL
    AND u.timestamp_us >= COALESCE(micros(:start_time), -9223372036854775808)
    AND u.timestamp_us <= COALESCE(micros(:end_time), 9223372036854775807)
    AND CASE :status_filter WHEN 'success' THEN u.status_code BETWEEN 200 AND 299
      WHEN 'error' THEN u.status_code >= 400 ELSE 1 END
    AND (:tool_filter = 'all' OR u.tool_name = :tool_filter)
  ORDER BY u.timestamp_us DESC, u.id DESC LIMIT :limit)

-- name: get_system_stats
SELECT (SELECT count(*) FROM users) AS user_count,
  (SELECT count(*) FROM api_keys WHERE is_active = 1) AS api_key_count

-- name: get_top_tools_analysis
SELECT u.tool_name AS tool_name, count(*) AS request_count,
  100.0 * sum(u.status_code BETWEEN 200 AND 299) / count(*) AS success_rate,
  COALESCE(CAST(sum(u.response_time_ms) AS REAL) / count(u.response_time_ms),
    0.0) AS average_response_time
FROM api_keys k CROSS JOIN api_key_usage u ON u.api_key_id = k.id
WHERE k.user_id = :user_id AND u.timestamp_us >= micros(:start_time)
  AND u.timestamp_us <= micros(:end_time) AND
    CASE WHEN typeof(u.status_code) <> 'integer' THEN unsound('status_code', u.id)
      WHEN typeof(u.response_time_ms) NOT IN ('integer', 'null')
        THEN unsound('response_time_ms', u.id) ELSE 1 END
GROUP BY u.tool_name
ORDER BY request_count DESC, u.tool_name
LIMIT 10
