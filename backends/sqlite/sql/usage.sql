-- The log of requests made with API keys, and its evaluations.

-- columns: RequestLog u
CAST(u.id AS TEXT) AS id, u.timestamp, u.api_key_id, k.name AS api_key_name,
u.tool_name, u.status_code, u.response_time_ms, u.error_message,
u.request_size_bytes, u.response_size_bytes

-- Parts of counted_usage, and of counted_a2a in a2a.sql: the period and the state of the rollups;
-- the full hours nearest to its ends, and the edges between; the full hours divided into whole days
-- that are summed, from first_day to last_day, and the hours beside them.
-- define: usage_given table
given AS MATERIALIZED (
  SELECT last_id, kept_from, days_to, by_day, kept_hour(p.a, r.kept_from) AS a,
    max(kept_hour(p.a, r.kept_from), kept_hour(p.b, r.kept_from)) AS b
  FROM period p CROSS JOIN usage_rolled r WHERE r.source = '{table}')

-- define: usage_edges
bounds AS MATERIALIZED (
  SELECT a, b, CASE WHEN rolled THEN nearest_hour(a, micros(:now)) ELSE a END AS whole_a,
    CASE WHEN rolled THEN nearest_hour(b, micros(:now))
      ELSE max(a, min(b, kept_from)) END AS whole_b,
    CASE WHEN rolled THEN last_id ELSE 9223372036854775807 END AS last, days_to, by_day
  FROM chosen),
edges AS MATERIALIZED (
  SELECT min(a, whole_a) AS since, max(a, whole_a) AS until, last,
    CASE WHEN a < whole_a THEN 1 ELSE -1 END AS sign FROM bounds
  UNION ALL
  SELECT min(b, whole_b), max(b, whole_b), last,
    CASE WHEN whole_b < b THEN 1 ELSE -1 END FROM bounds),
whole AS MATERIALIZED (
  SELECT since, until, first_day, max(first_day, min(day_of(until), days_to)) AS last_day
  FROM (SELECT hour_of(whole_a) AS since, hour_of(whole_b) AS until, days_to,
      CASE WHEN by_day THEN min(day_of(hour_of(whole_a) + 23), hour_of(whole_b))
        ELSE hour_of(whole_b) END AS first_day
    FROM bounds)),
spans AS MATERIALIZED (
  SELECT since, first_day AS until FROM whole UNION ALL SELECT last_day, until FROM whole)

-- The usage of the keys `asked(id)` in the period `period(a, b, by_day)`, a <= time < b. `counted`
-- has a row for each part of it, whose numbers are to be summed by key, tool, day, or hour unless
-- by_day. Most parts are rows of the rollups, for the hours from `whole_a` to `whole_b`, the full
-- hours nearest to the ends. Rows of the edges are added or, beyond the end, subtracted. Rows
-- behind `last` are not in the rollups. The rows alone are counted within one hour, with many rows
-- that are not rolled up yet, and with a value that cannot be summed. Of hours before kept_from the
-- rows are gone. micros(timestamp) is timestamp_us at a fraction of the cost, but no index has it.
-- By itself SQLite takes the primary key for the search of values that cannot be summed, which has
-- all hours.
-- define: counted_usage
{usage_given api_key_usage},
chosen AS MATERIALIZED (
  SELECT g.*, hour_of(g.a) < hour_of(g.b)
    AND COALESCE((SELECT max(id) FROM api_key_usage), 0) - g.last_id <= 20000
    AND NOT EXISTS (SELECT 1 FROM asked k CROSS JOIN
      api_key_usage_hours h INDEXED BY idx_api_key_usage_hours_odd
      ON h.api_key_id = k.id AND h.hour BETWEEN max(hour_of(g.a), hour_of(g.kept_from))
      AND hour_of(g.b) WHERE h.odd <> 0)
    AND NOT EXISTS (SELECT 1 FROM asked k CROSS JOIN api_key_usage_changes c
      ON c.api_key_id = k.id
      WHERE odd_usage(c.status_code, c.response_time_ms, NULL)) AS rolled
  FROM given g),
{usage_edges},
counted AS (
  SELECT h.api_key_id, h.hour, h.tool_name, h.requests, h.successful, h.failed, h.time_ms, h.timed
  FROM spans CROSS JOIN asked k CROSS JOIN api_key_usage_hours h ON h.api_key_id = k.id
    AND h.hour >= spans.since AND h.hour < spans.until
  UNION ALL
  SELECT d.api_key_id, d.day, d.tool_name, d.requests, d.successful, d.failed, d.time_ms, d.timed
  FROM whole CROSS JOIN asked k CROSS JOIN api_key_usage_days d ON d.api_key_id = k.id
    AND d.day >= whole.first_day AND d.day < whole.last_day
  UNION ALL
  SELECT c.api_key_id, hour_of(c.timestamp_us), c.tool_name, c.sign,
    c.sign * (c.status_code BETWEEN 200 AND 299), c.sign * (c.status_code >= 400),
    c.sign * COALESCE(c.response_time_ms, 0), c.sign * (c.response_time_ms IS NOT NULL)
  FROM bounds CROSS JOIN asked k CROSS JOIN api_key_usage_changes c ON c.api_key_id = k.id
    AND c.timestamp_us >= bounds.whole_a AND c.timestamp_us < bounds.whole_b
  UNION ALL
  SELECT u.api_key_id, hour_of(micros(u.timestamp)), u.tool_name, e.sign,
    e.sign * (u.status_code BETWEEN 200 AND 299), e.sign * (u.status_code >= 400),
    e.sign * COALESCE(u.response_time_ms, 0), e.sign * (u.response_time_ms IS NOT NULL)
  FROM edges e CROSS JOIN asked k CROSS JOIN api_key_usage u ON u.api_key_id = k.id
    AND u.timestamp_us >= e.since AND u.timestamp_us < e.until
  WHERE u.id <= e.last AND sound_usage(u.status_code, u.response_time_ms, u.id)
  UNION ALL
  SELECT u.api_key_id, hour_of(micros(u.timestamp)), u.tool_name, 1,
    u.status_code BETWEEN 200 AND 299, u.status_code >= 400, COALESCE(u.response_time_ms, 0),
    u.response_time_ms IS NOT NULL
  FROM bounds CROSS JOIN api_key_usage u NOT INDEXED ON u.id > bounds.last
  WHERE u.api_key_id IN (SELECT id FROM asked) AND micros(u.timestamp) >= bounds.a
    AND micros(u.timestamp) < bounds.b AND sound_usage(u.status_code, u.response_time_ms, u.id))

-- define: add_usage
INSERT INTO api_key_usage (api_key_id, timestamp, tool_name, response_time_ms, status_code,
  error_message, request_size_bytes, response_size_bytes, ip_address, user_agent)
VALUES (:api_key_id, :timestamp, :tool_name, :response_time_ms, :status_code, :error_message,
  :request_size_bytes, :response_size_bytes, :ip_address, :user_agent)

-- name: record_api_key_usage
{add_usage}

-- name: record_api_key_usages
{add_usage}

-- A key's requests in this month.
-- define: current_usage key
(SELECT CASE WHEN COALESCE((SELECT max(id) FROM api_key_usage), 0) - r.last_id <= 20000 THEN
    (SELECT COALESCE(sum(requests), 0) FROM api_key_usage_months
      WHERE api_key_id = {key} AND month >= substr(:month_start, 1, 7))
    + (SELECT COALESCE(sum(sign), 0) FROM api_key_usage_changes
      WHERE api_key_id = {key} AND timestamp_us >= micros(:month_start))
    + (SELECT count(*) FROM api_key_usage NOT INDEXED
      WHERE id > r.last_id AND api_key_id = {key}
        AND micros(timestamp) >= micros(:month_start))
  ELSE (SELECT count(*) FROM api_key_usage WHERE api_key_id = {key}
      AND timestamp_us >= micros(:month_start)) END
FROM usage_rolled r WHERE r.source = 'api_key_usage')

-- name: get_api_key_current_usage
SELECT {current_usage :api_key_id} AS result

-- name: get_api_key_usage_stats
WITH asked AS (SELECT :api_key_id AS id),
period AS (SELECT micros(:start_date) AS a, micros(:end_date) AS b, 1 AS by_day),
{counted_usage},
tools AS (
  SELECT tool_name, sum(requests) AS requests, sum(successful) AS successful,
    sum(failed) AS failed, sum(time_ms) AS time_ms
  FROM counted GROUP BY tool_name HAVING sum(requests) <> 0 ORDER BY tool_name)
SELECT :api_key_id AS api_key_id, :start_date AS period_start, :end_date AS period_end,
  COALESCE(sum(requests), 0) AS total_requests, COALESCE(sum(successful), 0) AS successful_requests,
  COALESCE(sum(failed), 0) AS failed_requests, COALESCE(sum(time_ms), 0) AS total_response_time_ms,
  json_group_object(tool_name, requests) AS tool_usage
FROM tools

-- name: get_user_api_key_usage
WITH asked AS (SELECT id FROM api_keys WHERE user_id = :user_id),
period AS (SELECT micros(:start_date) AS a, micros(:end_date) AS b, 1 AS by_day),
{counted_usage},
tools AS MATERIALIZED (
  SELECT api_key_id, tool_name, sum(requests) AS requests, sum(successful) AS successful,
    sum(failed) AS failed, sum(time_ms) AS time_ms
  FROM counted GROUP BY api_key_id, tool_name HAVING sum(requests) <> 0
  ORDER BY api_key_id, tool_name),
keys AS MATERIALIZED (
  SELECT own.id, own.name, own.created_us,
    (SELECT json_array(COALESCE(sum(requests), 0), COALESCE(sum(successful), 0),
        COALESCE(sum(failed), 0), COALESCE(sum(time_ms), 0),
        json_group_object(tool_name, requests))
      FROM tools WHERE +tools.api_key_id = own.id) AS usage
  FROM api_keys own WHERE own.user_id = :user_id)
SELECT id AS api_key_id, :start_date AS period_start, :end_date AS period_end,
  json_extract(usage, '$[0]') AS total_requests, json_extract(usage, '$[1]') AS successful_requests,
  json_extract(usage, '$[2]') AS failed_requests,
  json_extract(usage, '$[3]') AS total_response_time_ms, json_extract(usage, '$[4]') AS tool_usage,
  name
FROM keys ORDER BY created_us DESC, id DESC

-- name: get_user_usage_series
WITH asked AS (SELECT id FROM api_keys WHERE user_id = :user_id),
period AS (SELECT micros(:start_date) AS a, micros(:end_date) AS b,
  :bucket <> 'hour' AS by_day),
{counted_usage}
SELECT strftime('%Y-%m-%dT%H:00:00+00:00', bucket * 3600, 'unixepoch') AS start, total_requests,
  successful_requests, failed_requests, total_response_time_ms
FROM (
  SELECT CASE :bucket WHEN 'hour' THEN hour ELSE day_of(hour) END AS bucket,
    sum(requests) AS total_requests, sum(successful) AS successful_requests,
    sum(failed) AS failed_requests, sum(time_ms) AS total_response_time_ms
  FROM counted
  GROUP BY 1 HAVING sum(requests) <> 0 ORDER BY 1 LIMIT 10000)
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
WITH asked AS (SELECT id FROM api_keys WHERE user_id = :user_id),
period AS (SELECT micros(:start_time) AS a, micros(:end_time) + 1 AS b, 1 AS by_day),
{counted_usage}
SELECT tool_name AS tool_name, sum(requests) AS request_count,
  100.0 * sum(successful) / sum(requests) AS success_rate,
  COALESCE(CAST(sum(time_ms) AS REAL) / NULLIF(sum(timed), 0), 0.0) AS average_response_time
FROM counted
GROUP BY tool_name HAVING sum(requests) <> 0
ORDER BY request_count DESC, tool_name
LIMIT 10
