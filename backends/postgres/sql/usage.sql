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

-- A key's requests in this month, by the key's number.
-- define: current_usage key
(SELECT count(*) FROM api_key_usage WHERE api_key = {key} AND timestamp >= :month_start)

-- name: get_api_key_current_usage
SELECT {current_usage (SELECT number FROM api_keys WHERE id = :api_key_id)} AS result

-- A key's requests from start_date to end_date, for each tool; by the key's number.
-- define: usage_by_tool key
SELECT tool_name, count(*) AS requests,
  count(*) FILTER (WHERE status_code BETWEEN 200 AND 299) AS successful,
  count(*) FILTER (WHERE status_code >= 400) AS failed, sum(response_time_ms) AS time_ms
FROM api_key_usage
WHERE api_key = {key} AND timestamp >= :start_date AND timestamp < :end_date
GROUP BY tool_name

-- The totals of such rows.
-- define: usage_totals
COALESCE(sum(requests), 0)::bigint AS total_requests,
COALESCE(sum(successful), 0)::bigint AS successful_requests,
COALESCE(sum(failed), 0)::bigint AS failed_requests,
COALESCE(sum(time_ms), 0)::bigint AS total_response_time_ms,
COALESCE(json_object_agg(tool_name, requests ORDER BY tool_name COLLATE "C"),
  '{}')::text AS tool_usage

-- name: get_api_key_usage_stats
WITH tools AS ({usage_by_tool (SELECT number FROM api_keys WHERE id = :api_key_id)})
SELECT :api_key_id AS api_key_id, :start_date AS period_start, :end_date AS period_end,
  {usage_totals}
FROM tools

-- name: get_user_api_key_usage
SELECT k.id AS api_key_id, :start_date AS period_start, :end_date AS period_end,
  s.total_requests, s.successful_requests, s.failed_requests, s.total_response_time_ms,
  s.tool_usage, k.name
FROM api_keys k CROSS JOIN LATERAL (
  SELECT {usage_totals} FROM ({usage_by_tool k.number}) AS tools) AS s
WHERE k.user_id = :user_id
ORDER BY k.created_at DESC, k.id COLLATE "C" DESC

-- name: get_user_usage_series
SELECT date_trunc(:bucket, u.timestamp AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS start,
  count(*) AS total_requests,
  count(*) FILTER (WHERE u.status_code BETWEEN 200 AND 299) AS successful_requests,
  count(*) FILTER (WHERE u.status_code >= 400) AS failed_requests,
  COALESCE(sum(u.response_time_ms), 0)::bigint AS total_response_time_ms
FROM api_keys k JOIN api_key_usage u ON u.api_key = k.number
WHERE k.user_id = :user_id AND u.timestamp >= :start_date AND u.timestamp < :end_date
GROUP BY 1 ORDER BY 1 LIMIT 10000

-- define: log_matches u
{u}.timestamp >= COALESCE(:start_time, '-infinity')
  AND {u}.timestamp <= COALESCE(:end_time, 'infinity')
  AND CASE :status_filter WHEN 'success' THEN {u}.status_code BETWEEN 200 AND 299
    WHEN 'error' THEN {u}.status_code >= 400 ELSE true END
  AND (:tool_filter = 'all' OR {u}.tool_name = :tool_filter)

-- The row that `after` names ends the range of times; only rows of its microsecond are compared by
-- their ids as well.
-- define: log_follows u
{u}.timestamp <= COALESCE((SELECT timestamp FROM place), 'infinity')
  AND (:after IS NULL OR {u}.timestamp < (SELECT timestamp FROM place)
    OR {u}.id < (SELECT id FROM place))

-- Three branches, only one of which returns rows: by the key's index, by time alone, or the newest
-- rows of each of the user's keys. The last one says that the list has no row `after`.
-- name: get_request_logs
WITH place AS MATERIALIZED (
  SELECT u.timestamp, u.id FROM api_key_usage u JOIN api_keys k ON k.number = u.api_key
  WHERE u.id = CASE WHEN :after ~ '^[1-9][0-9]{0,17}$' THEN :after::bigint END
    AND (:api_key_id IS NULL OR k.id = :api_key_id)
    AND (:user_id IS NULL OR k.user_id = :user_id) AND {log_matches u})
SELECT * FROM (
  SELECT {RequestLog u}
  FROM api_key_usage u JOIN api_keys k ON k.number = u.api_key
  WHERE :api_key_id IS NOT NULL AND u.api_key = (SELECT number FROM api_keys
    WHERE id = :api_key_id)
    AND k.user_id = COALESCE(:user_id, k.user_id) AND {log_matches u} AND {log_follows u}
  ORDER BY u.timestamp DESC, u.id DESC LIMIT :limit) AS of_key
UNION ALL
SELECT * FROM (
  SELECT {RequestLog u}
  FROM api_key_usage u JOIN api_keys k ON k.number = u.api_key
  WHERE :api_key_id IS NULL AND :user_id IS NULL AND {log_matches u} AND {log_follows u}
  ORDER BY u.timestamp DESC, u.id DESC LIMIT :limit) AS of_all
UNION ALL
SELECT * FROM (
  SELECT {RequestLog u}
  FROM api_keys k CROSS JOIN LATERAL (
    SELECT l.id, l.timestamp, l.tool_name, l.status_code, l.response_time_ms, l.error_message,
      l.request_size_bytes, l.response_size_bytes
    FROM api_key_usage l
    WHERE l.api_key = k.number AND {log_matches l} AND {log_follows l}
    ORDER BY l.timestamp DESC, l.id DESC LIMIT :limit) AS u
  WHERE :api_key_id IS NULL AND k.user_id = :user_id
  ORDER BY u.timestamp DESC, u.id DESC LIMIT :limit) AS of_user
UNION ALL
SELECT {NULL RequestLog} WHERE :after IS NOT NULL AND NOT EXISTS (SELECT 1 FROM place)

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
