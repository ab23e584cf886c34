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

-- A key's requests in this month.
-- define: current_usage key
(SELECT count(*) FROM api_key_usage WHERE api_key_id = {key}
  AND timestamp_us >= micros(:month_start))

-- name: get_api_key_current_usage
SELECT {current_usage :api_key_id} AS result

-- A key's requests from start_date to end_date, for each tool in the order of the names.
-- define: usage_by_tool key
SELECT tool_name, count(*) AS requests, sum(status_code BETWEEN 200 AND 299) AS successful,
  sum(status_code >= 400) AS failed, sum(response_time_ms) AS time_ms
FROM api_key_usage
WHERE api_key_id = {key} AND timestamp_us >= micros(:start_date)
  AND timestamp_us < micros(:end_date) AND
  CASE WHEN typeof(status_code) <> 'integer' THEN unsound('status_code', id)
    WHEN typeof(response_time_ms) NOT IN ('integer', 'null')
      THEN unsound('response_time_ms', id) ELSE 1 END
GROUP BY tool_name ORDER BY tool_name

-- name: get_api_key_usage_stats
WITH tools AS ({usage_by_tool :api_key_id})
SELECT :api_key_id AS api_key_id, :start_date AS period_start, :end_date AS period_end,
  COALESCE(sum(requests), 0) AS total_requests, COALESCE(sum(successful), 0) AS successful_requests,
  COALESCE(sum(failed), 0) AS failed_requests, COALESCE(sum(time_ms), 0) AS total_response_time_ms,
  json_group_object(tool_name, requests) AS tool_usage
FROM tools

-- name: get_user_api_key_usage
WITH keys AS MATERIALIZED (
  SELECT k.id, k.name, k.created_us,
    (SELECT json_array(COALESCE(sum(requests), 0), COALESCE(sum(successful), 0),
        COALESCE(sum(failed), 0), COALESCE(sum(time_ms), 0),
        json_group_object(tool_name, requests))
      FROM ({usage_by_tool k.id})) AS usage
  FROM api_keys k WHERE k.user_id = :user_id)
SELECT id AS api_key_id, :start_date AS period_start, :end_date AS period_end,
  json_extract(usage, '$[0]') AS total_requests, json_extract(usage, '$[1]') AS successful_requests,
  json_extract(usage, '$[2]') AS failed_requests,
  json_extract(usage, '$[3]') AS total_response_time_ms, json_extract(usage, '$[4]') AS tool_usage,
  name
FROM keys ORDER BY created_us DESC, id DESC

-- name: get_user_usage_series
SELECT strftime('%Y-%m-%dT%H:00:00+00:00', bucket, 'unixepoch') AS start, total_requests,
  successful_requests, failed_requests, total_response_time_ms
FROM (
  SELECT CASE :bucket WHEN 'hour'
      THEN ((u.timestamp_us + 62167219200000000) / 3600000000) * 3600 - 62167219200
      ELSE ((u.timestamp_us + 62167219200000000) / 86400000000) * 86400 - 62167219200
      END AS bucket,
    count(*) AS total_requests, sum(u.status_code BETWEEN 200 AND 299) AS successful_requests,
    sum(u.status_code >= 400) AS failed_requests,
    COALESCE(sum(u.response_time_ms), 0) AS total_response_time_ms
  FROM api_keys k CROSS JOIN api_key_usage u ON u.api_key_id = k.id
  WHERE k.user_id = :user_id AND u.timestamp_us >= micros(:start_date)
    AND u.timestamp_us < micros(:end_date) AND
    CASE WHEN typeof(u.status_code) <> 'integer' THEN unsound('status_code', u.id)
      WHEN typeof(u.response_time_ms) NOT IN ('integer', 'null')
        THEN unsound('response_time_ms', u.id) ELSE 1 END
  GROUP BY 1 ORDER BY 1 LIMIT 10000)
ORDER BY bucket

-- define: log_matches u
{u}.timestamp_us >= COALESCE(micros(:start_time), -9223372036854775808)
  AND {u}.timestamp_us <= COALESCE(micros(:end_time), 9223372036854775807)
  AND CASE :status_filter WHEN 'success' THEN {u}.status_code BETWEEN 200 AND 299
    WHEN 'error' THEN {u}.status_code >= 400 ELSE 1 END
  AND (:tool_filter = 'all' OR {u}.tool_name = :tool_filter)

-- The row that `after` names ends the range of times; only rows of its microsecond are compared by
-- their ids as well.
-- define: log_follows u
{u}.timestamp_us <= COALESCE((SELECT us FROM place), 9223372036854775807)
  AND (:after IS NULL OR {u}.timestamp_us < (SELECT us FROM place)
    OR {u}.id < (SELECT id FROM place))

-- Three branches, only one of which returns rows: by the key's index, by time alone, or the newest
-- rows of each of the user's keys. The last one says that the list has no row `after`.
-- name: get_request_logs
WITH place AS (
  SELECT u.timestamp_us AS us, u.id FROM api_key_usage u JOIN api_keys k ON k.id = u.api_key_id
  WHERE u.id = CAST(:after AS INTEGER) AND CAST(u.id AS TEXT) = :after
    AND (:api_key_id IS NULL OR u.api_key_id = :api_key_id)
    AND (:user_id IS NULL OR k.user_id = :user_id) AND {log_matches u})
SELECT * FROM (
  SELECT {RequestLog u}
  FROM api_key_usage u JOIN api_keys k ON k.id = u.api_key_id
  WHERE :api_key_id IS NOT NULL AND u.api_key_id = :api_key_id
    AND k.user_id = COALESCE(:user_id, k.user_id) AND {log_matches u} AND {log_follows u}
  ORDER BY u.timestamp_us DESC, u.id DESC LIMIT :limit)
UNION ALL
SELECT * FROM (
  SELECT {RequestLog u}
  FROM api_key_usage u CROSS JOIN api_keys k ON k.id = u.api_key_id
  WHERE :api_key_id IS NULL AND :user_id IS NULL AND {log_matches u} AND {log_follows u}
  ORDER BY u.timestamp_us DESC, u.id DESC LIMIT :limit)
UNION ALL
SELECT * FROM (
  SELECT {RequestLog u}
  FROM api_keys k CROSS JOIN api_key_usage u ON u.id IN (
    SELECT l.id FROM api_key_usage l
    WHERE l.api_key_id = k.id AND {log_matches l} AND {log_follows l}
    ORDER BY l.timestamp_us DESC, l.id DESC LIMIT :limit)
  WHERE :api_key_id IS NULL AND k.user_id = :user_id
  ORDER BY u.timestamp_us DESC, u.id DESC LIMIT :limit)
UNION ALL
SELECT {NULL RequestLog} WHERE :after IS NOT NULL AND NOT EXISTS (SELECT 1 FROM place)

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
