-- The log of requests made with API keys, and its evaluations.

-- columns: RequestLog u
u.id::text AS id, u.timestamp, k.id AS api_key_id, k.name AS api_key_name,
u.tool_name, u.status_code, u.response_time_ms, u.error_message,
u.request_size_bytes, u.response_size_bytes

-- Parts of counted_usage, and of counted_a2a in a2a.sql: the period and the state of the rollups;
-- the full hours nearest to its ends, and the edges between; the full hours divided into whole days
-- that are summed, from first_day to last_day, and the hours beside them.
-- define: usage_given table
given AS MATERIALIZED (
  SELECT r.last_id, r.kept_from, r.days_to, p.by_day, kept_hour(p.a, r.kept_from) AS a,
    greatest(kept_hour(p.a, r.kept_from), kept_hour(p.b, r.kept_from)) AS b
  FROM period p CROSS JOIN usage_rolled r WHERE r.source = '{table}')

-- define: usage_edges
bounds AS MATERIALIZED (
  SELECT a, b, CASE WHEN rolled THEN nearest_hour(a, :now) ELSE a END AS whole_a,
    CASE WHEN rolled THEN nearest_hour(b, :now)
      ELSE greatest(a, least(b, kept_from)) END AS whole_b,
    CASE WHEN rolled THEN last_id ELSE 9223372036854775807 END AS last, days_to, by_day
  FROM chosen),
edges AS MATERIALIZED (
  SELECT least(a, whole_a) AS since, greatest(a, whole_a) AS until, last,
    CASE WHEN a < whole_a THEN 1 ELSE -1 END AS sign FROM bounds
  UNION ALL
  SELECT least(b, whole_b), greatest(b, whole_b), last,
    CASE WHEN whole_b < b THEN 1 ELSE -1 END FROM bounds),
whole AS MATERIALIZED (
  SELECT since, until, first_day,
    greatest(first_day, least(date_trunc('day', until, 'UTC'), days_to)) AS last_day
  FROM (SELECT whole_a AS since, whole_b AS until, days_to, CASE WHEN by_day
      THEN least(date_trunc('day', whole_a + interval '23:59:59.999999', 'UTC'), whole_b)
      ELSE whole_b END AS first_day
    FROM bounds) AS full_hours),
spans AS MATERIALIZED (
  SELECT since, first_day AS until FROM whole UNION ALL SELECT last_day, until FROM whole)

-- The usage of the keys `asked(number)` in the period `period(a, b, by_day)`, a <= time < b.
-- `counted` has a row for each part of it, whose numbers are to be summed by key, tool, day, or
-- hour unless by_day. Most parts are rows of the rollups, for the hours from `whole_a` to
-- `whole_b`, the full hours nearest to the ends. Rows of the edges are added or, beyond the end,
-- subtracted. Rows behind `last` are not in the rollups. The rows alone are counted within one
-- hour, with many rows that are not rolled up yet, and with a value that cannot be summed. Of hours
-- before kept_from the rows are gone. `at`: a time in the day or hour of a part.
-- define: counted_usage
{usage_given api_key_usage},
chosen AS MATERIALIZED (
  SELECT g.*,
    date_trunc('hour', g.a, 'UTC') < date_trunc('hour', g.b, 'UTC')
    AND NOT EXISTS (SELECT 1 FROM api_key_usage u WHERE u.id > g.last_id
      ORDER BY u.id OFFSET 20000 LIMIT 1)
    AND NOT EXISTS (SELECT 1 FROM asked k JOIN api_key_usage_hours h ON h.api_key = k.number
      WHERE h.odd <> 0 AND h.hour >= g.kept_from
        AND h.hour >= date_trunc('hour', g.a, 'UTC') AND h.hour <= g.b)
    AND NOT EXISTS (SELECT 1 FROM asked k JOIN api_key_usage_changes c ON c.api_key = k.number
      WHERE c.usage_id <= g.last_id AND odd_time(c.response_time_ms)) AS rolled
  FROM given g),
{usage_edges},
counted AS (
  SELECT h.api_key, h.hour AS at, h.tool_name, h.requests, h.successful, h.failed, h.time_ms,
    h.timed
  FROM spans CROSS JOIN asked k JOIN api_key_usage_hours h ON h.api_key = k.number
    AND h.hour >= spans.since AND h.hour < spans.until
  UNION ALL
  SELECT d.api_key, d.day, d.tool_name, d.requests, d.successful, d.failed, d.time_ms, d.timed
  FROM whole CROSS JOIN asked k JOIN api_key_usage_days d ON d.api_key = k.number
    AND d.day >= whole.first_day AND d.day < whole.last_day
  UNION ALL
  SELECT one.api_key, one.timestamp, one.tool_name, one.sign,
    CASE WHEN one.status_code BETWEEN 200 AND 299 THEN one.sign ELSE 0 END,
    CASE WHEN one.status_code >= 400 THEN one.sign ELSE 0 END,
    one.sign * COALESCE(one.response_time_ms, 0),
    CASE WHEN one.response_time_ms IS NOT NULL THEN one.sign ELSE 0 END
  FROM (
    SELECT c.api_key, c.timestamp, c.tool_name, c.sign, c.status_code, c.response_time_ms
    FROM bounds CROSS JOIN asked k JOIN api_key_usage_changes c ON c.api_key = k.number
      AND c.timestamp >= bounds.whole_a AND c.timestamp < bounds.whole_b
      AND c.usage_id <= bounds.last
    UNION ALL
    SELECT u.api_key, u.timestamp, u.tool_name, e.sign, u.status_code, u.response_time_ms
    FROM edges e CROSS JOIN asked k JOIN api_key_usage u ON u.api_key = k.number
      AND u.timestamp >= e.since AND u.timestamp < e.until
    WHERE u.id <= e.last
    UNION ALL
    SELECT u.api_key, u.timestamp, u.tool_name, 1, u.status_code, u.response_time_ms
    FROM bounds CROSS JOIN LATERAL (SELECT * FROM api_key_usage WHERE id > bounds.last
      ORDER BY id LIMIT 20000) AS u
    WHERE u.api_key IN (SELECT number FROM asked) AND u.timestamp >= bounds.a
      AND u.timestamp < bounds.b) AS one)

-- name: record_api_key_usage
INSERT INTO api_key_usage (api_key, timestamp, tool_name, response_time_ms, status_code,
  error_message, request_size_bytes, response_size_bytes, ip_address, ip_text, user_agent)
SELECT number, :timestamp, :tool_name, :response_time_ms, :status_code, :error_message,
  :request_size_bytes, :response_size_bytes, :ip_address, :ip_address_exact, :user_agent
FROM api_keys WHERE id = :api_key_id

-- name: record_api_key_usages
WITH given AS MATERIALIZED (
  SELECT r.*, (SELECT k.number FROM api_keys k WHERE k.id = r.api_key_id) AS number
  FROM unnest(:api_key_id, :timestamp, :tool_name, :response_time_ms, :status_code,
    :error_message, :request_size_bytes, :response_size_bytes, :ip_address, :ip_address_exact,
    :user_agent) WITH ORDINALITY AS r(api_key_id, timestamp, tool_name, response_time_ms,
    status_code, error_message, request_size_bytes, response_size_bytes, ip_address, ip_text,
    user_agent, place)),
missing AS MATERIALIZED (
  SELECT place FROM given WHERE number IS NULL ORDER BY place LIMIT 1),
added AS (
  INSERT INTO api_key_usage (api_key, timestamp, tool_name, response_time_ms, status_code,
    error_message, request_size_bytes, response_size_bytes, ip_address, ip_text, user_agent)
  SELECT number, timestamp, tool_name, response_time_ms, status_code, error_message,
    request_size_bytes, response_size_bytes, ip_address::inet, ip_text, user_agent
  FROM given WHERE NOT EXISTS (SELECT FROM missing) ORDER BY place)
SELECT place, 'api_key_id'::text AS member FROM missing

-- A key's requests in this month, by the key's number.
-- define: current_usage key
(SELECT CASE WHEN NOT EXISTS (SELECT 1 FROM api_key_usage u WHERE u.id > r.last_id
    ORDER BY u.id OFFSET 20000 LIMIT 1) THEN
    (SELECT COALESCE(sum(m.requests), 0)::bigint FROM api_key_usage_months m
      WHERE m.api_key = {key} AND m.month >= :month_start)
    + (SELECT COALESCE(sum(c.sign), 0) FROM api_key_usage_changes c
      WHERE c.api_key = {key} AND c.timestamp >= :month_start AND c.usage_id <= r.last_id)
    + (SELECT count(*) FROM (SELECT * FROM api_key_usage WHERE id > r.last_id
        ORDER BY id LIMIT 20000) AS u
      WHERE u.api_key = {key} AND u.timestamp >= :month_start)
  ELSE (SELECT count(*) FROM api_key_usage u WHERE u.api_key = {key}
      AND u.timestamp >= :month_start) END
FROM usage_rolled r WHERE r.source = 'api_key_usage')

-- name: get_api_key_current_usage
SELECT {current_usage (SELECT number FROM api_keys WHERE id = :api_key_id)} AS result

-- The totals of rows of one tool each.
-- define: usage_totals
COALESCE(sum(requests), 0)::bigint AS total_requests,
COALESCE(sum(successful), 0)::bigint AS successful_requests,
COALESCE(sum(failed), 0)::bigint AS failed_requests,
COALESCE(sum(time_ms), 0)::bigint AS total_response_time_ms,
COALESCE(json_object_agg(tool_name, requests ORDER BY tool_name COLLATE "C")
  FILTER (WHERE tool_name IS NOT NULL), '{}')::text AS tool_usage

-- name: get_api_key_usage_stats
WITH asked AS (SELECT number FROM api_keys WHERE id = :api_key_id),
period AS (SELECT :start_date AS a, :end_date AS b, true AS by_day),
{counted_usage},
tools AS (
  SELECT tool_name, sum(requests)::bigint AS requests, sum(successful) AS successful,
    sum(failed) AS failed, sum(time_ms) AS time_ms
  FROM counted GROUP BY tool_name HAVING sum(requests) <> 0)
SELECT :api_key_id AS api_key_id, :start_date AS period_start, :end_date AS period_end,
  {usage_totals}
FROM tools

-- name: get_user_api_key_usage
WITH asked AS (SELECT number FROM api_keys WHERE user_id = :user_id),
period AS (SELECT :start_date AS a, :end_date AS b, true AS by_day),
{counted_usage},
tools AS (
  SELECT api_key, tool_name, sum(requests)::bigint AS requests, sum(successful) AS successful,
    sum(failed) AS failed, sum(time_ms) AS time_ms
  FROM counted GROUP BY api_key, tool_name HAVING sum(requests) <> 0)
SELECT k.id AS api_key_id, :start_date AS period_start, :end_date AS period_end,
  s.total_requests, s.successful_requests, s.failed_requests, s.total_response_time_ms,
  s.tool_usage, k.name
FROM api_keys k JOIN (
  SELECT a.number, {usage_totals}
  FROM asked a LEFT JOIN tools t ON t.api_key = a.number GROUP BY a.number) AS s
  ON s.number = k.number
WHERE k.user_id = :user_id
ORDER BY k.created_at DESC, k.id COLLATE "C" DESC

-- name: get_user_usage_series
WITH asked AS (SELECT number FROM api_keys WHERE user_id = :user_id),
period AS (SELECT :start_date AS a, :end_date AS b, :bucket <> 'hour' AS by_day),
{counted_usage}
SELECT date_trunc(:bucket, at, 'UTC') AS start,
  sum(requests)::bigint AS total_requests, sum(successful)::bigint AS successful_requests,
  sum(failed)::bigint AS failed_requests, sum(time_ms)::bigint AS total_response_time_ms
FROM counted
GROUP BY 1 HAVING sum(requests) <> 0 ORDER BY 1 LIMIT 10000

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
WITH asked AS (SELECT number FROM api_keys WHERE user_id = :user_id),
period AS (SELECT :start_time AS a, :end_time + interval '1 microsecond' AS b,
  true AS by_day),
{counted_usage}
SELECT tool_name AS tool_name, sum(requests)::bigint AS request_count,
  100.0::double precision * sum(successful)::bigint / sum(requests)::bigint AS success_rate,
  COALESCE(sum(time_ms)::double precision / NULLIF(sum(timed), 0)::bigint, 0.0)
    AS average_response_time
FROM counted
GROUP BY tool_name HAVING sum(requests) <> 0
ORDER BY request_count DESC, tool_name COLLATE "C"
LIMIT 10
