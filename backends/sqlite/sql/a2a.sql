-- Agent-to-agent: clients, sessions, tasks and the log of what they did. The + before is_active:
-- see api_keys.sql.

-- columns: A2AClient c
c.id, c.name, COALESCE(c.description, '') AS description, COALESCE(c.public_key, '') AS public_key,
c.capabilities, c.redirect_uris, c.is_active, c.created_at

-- name: create_a2a_client
INSERT INTO a2a_clients (id, api_key_id, name, description, public_key, capabilities, redirect_uris,
  is_active, created_at, updated_at)
SELECT :id, id, :name, :description, :public_key, :capabilities, :redirect_uris, :is_active,
  :created_at, :now
FROM api_keys WHERE id = :api_key_id
RETURNING id AS result

-- name: get_a2a_client
SELECT {A2AClient} FROM a2a_clients WHERE id = :client_id

-- name: get_a2a_client_by_name
SELECT {A2AClient} FROM a2a_clients WHERE name = :name

-- Pages: see goals.sql. They are cut from all clients of the user: no index has them in order.
-- name: list_a2a_clients
WITH place AS (
  SELECT c.created_us, c.id FROM a2a_clients c JOIN api_keys k ON k.id = c.api_key_id
  WHERE c.id = :after AND k.user_id = :user_id AND +k.is_active = 1)
SELECT * FROM (
  SELECT {A2AClient c} FROM api_keys k JOIN a2a_clients c ON c.api_key_id = k.id
  WHERE k.user_id = :user_id AND +k.is_active = 1
    AND (:after IS NULL OR c.created_us IS NULL
      OR (c.created_us, c.id) < ((SELECT created_us FROM place), (SELECT id FROM place)))
  ORDER BY c.created_us DESC, c.id DESC LIMIT COALESCE(:limit, -1))
UNION ALL
SELECT {NULL A2AClient} WHERE :after IS NOT NULL AND NOT EXISTS (SELECT 1 FROM place)

-- A session token is stored as it is, or as its hash. Callers have the token itself, so a look-up
-- tries both forms. What has the form of a hash is never a token: `unhashed` is NULL then.
-- name: create_a2a_session
INSERT INTO a2a_sessions (id, client_id, session_token, user_id, granted_scopes, created_at,
  expires_at, last_activity, is_active)
VALUES (:new_id, :client_id, :new_token_stored, :user_id, :granted_scopes, :now,
  :expires_at_computed, :now, 1)
RETURNING :new_token AS result

-- name: get_a2a_session
SELECT s.id AS id, s.client_id AS client_id, s.user_id AS user_id,
  s.granted_scopes AS granted_scopes, s.created_at AS created_at, s.expires_at AS expires_at,
  s.last_activity AS last_activity,
  (SELECT count(*) FROM a2a_usage u WHERE u.session_token = s.session_token) AS requests_count
FROM a2a_sessions s
WHERE s.session_token IN (:session_token_hashed, :session_token_unhashed) AND s.is_active = 1
  AND (s.expires_us > micros(:now) OR s.expires_us IS NULL)

-- name: update_a2a_session_activity
UPDATE a2a_sessions SET last_activity = :now
WHERE session_token IN (:session_token_hashed, :session_token_unhashed)

-- An old default created ids of 32 digits without hyphens, and a caller may write any id that way:
-- look-ups accept both forms.
-- name: create_a2a_task
INSERT INTO a2a_tasks (id, client_id, session_id, task_type, input_data, status, created_at)
SELECT :new_id, :client_id, given.id, :task_type, :input_data, 'pending', :now
FROM (SELECT (SELECT id FROM a2a_sessions
   WHERE session_token IN (:session_id_hashed, :session_id_unhashed)
     OR id IN (lower(:session_id), replace(lower(:session_id), '-', ''),
     lower(substr(:session_id, 1, 8) || '-' || substr(:session_id, 9, 4) || '-'
       || substr(:session_id, 13, 4) || '-' ||
       substr(:session_id, 17, 4) || '-' || substr(:session_id, 21)))
   LIMIT 1) AS id) AS given
WHERE :session_id IS NULL OR given.id IS NOT NULL
RETURNING id AS result

-- name: get_a2a_task
SELECT id, client_id, session_id, task_type, input_data, status, created_at, started_at,
  completed_at, result_data AS result, error_message AS error
FROM a2a_tasks WHERE id IN (:task_id, replace(:task_id, '-', ''))

-- name: update_a2a_task_status
UPDATE a2a_tasks SET status = :status, result_data = :result, error_message = :error,
  started_at = CASE WHEN :status = 'running' AND started_at IS NULL THEN :now ELSE started_at END,
  completed_at = CASE WHEN :status IN ('completed', 'failed', 'cancelled') THEN :now END
WHERE id IN (:task_id, replace(:task_id, '-', ''))

-- What is counted of a row.
-- define: a2a_facts u
{u}.tool_name, {u}.status_code, {u}.response_time_ms, {u}.client_capabilities

-- The usage of the client in the period `period(a, b, by_day)`: see counted_usage in usage.sql.
-- `single` are the rows beside the rollups.
-- define: counted_a2a
{usage_given a2a_usage},
chosen AS MATERIALIZED (
  SELECT g.*, hour_of(g.a) < hour_of(g.b)
    AND COALESCE((SELECT max(id) FROM a2a_usage), 0) - g.last_id <= 20000
    AND NOT EXISTS (SELECT 1 FROM a2a_usage_hours h INDEXED BY idx_a2a_usage_hours_odd
      WHERE h.client_id = :client_id
      AND h.hour BETWEEN max(hour_of(g.a), hour_of(g.kept_from)) AND hour_of(g.b)
      AND h.odd <> 0)
    AND NOT EXISTS (SELECT 1 FROM a2a_usage_changes c WHERE c.client_id = :client_id
      AND odd_usage(c.status_code, c.response_time_ms, c.client_capabilities)) AS rolled
  FROM given g),
{usage_edges},
single AS MATERIALIZED (
  SELECT c.sign, c.timestamp_us AS us, {a2a_facts c}
  FROM bounds CROSS JOIN a2a_usage_changes c ON c.client_id = :client_id
    AND c.timestamp_us >= bounds.whole_a AND c.timestamp_us < bounds.whole_b
  UNION ALL
  SELECT e.sign, micros(u.timestamp), {a2a_facts u}
  FROM edges e CROSS JOIN a2a_usage u ON u.client_id = :client_id
    AND u.timestamp_us >= e.since AND u.timestamp_us < e.until
  WHERE u.id <= e.last AND sound_usage(u.status_code, u.response_time_ms, u.id)
  UNION ALL
  SELECT 1, micros(u.timestamp), {a2a_facts u}
  FROM bounds CROSS JOIN a2a_usage u NOT INDEXED ON u.id > bounds.last
  WHERE u.client_id = :client_id AND micros(u.timestamp) >= bounds.a
    AND micros(u.timestamp) < bounds.b
    AND sound_usage(u.status_code, u.response_time_ms, u.id)),
counted AS (
  SELECT h.hour, h.tool_name, h.requests, h.successful, h.failed, h.time_ms
  FROM spans CROSS JOIN a2a_usage_hours h ON h.client_id = :client_id
    AND h.hour >= spans.since AND h.hour < spans.until
  UNION ALL
  SELECT d.day, d.tool_name, d.requests, d.successful, d.failed, d.time_ms
  FROM whole CROSS JOIN a2a_usage_days d ON d.client_id = :client_id
    AND d.day >= whole.first_day AND d.day < whole.last_day
  UNION ALL
  SELECT hour_of(us), tool_name, sign, sign * (status_code BETWEEN 200 AND 299),
    sign * (status_code >= 400), sign * COALESCE(response_time_ms, 0)
  FROM single)

-- define: add_a2a_usage session
INSERT INTO a2a_usage (client_id, session_token, timestamp, tool_name, response_time_ms,
  status_code, error_message, request_size_bytes, response_size_bytes, ip_address, user_agent,
  protocol_version, client_capabilities, granted_scopes)
VALUES (:client_id, {session}, :timestamp, :tool_name, :response_time_ms, :status_code,
  :error_message, :request_size_bytes, :response_size_bytes, :ip_address, :user_agent,
  :protocol_version, :client_capabilities, :granted_scopes)

-- The form in which the session's token is stored. Without a session the hash violates the foreign
-- key.
-- name: record_a2a_usage
{add_a2a_usage COALESCE((SELECT session_token FROM a2a_sessions
    WHERE session_token IN (:session_token_hashed, :session_token_unhashed)),
  :session_token_hashed)}

-- A foreign key that is violated does not tell which one it is.
-- name: record_a2a_usages
{add_a2a_usage CASE WHEN :session_token_hashed IS NOT NULL
  THEN COALESCE((SELECT session_token FROM a2a_sessions
    WHERE session_token IN (:session_token_hashed, :session_token_unhashed)),
    no_parent('session_token')) END}

-- name: get_a2a_client_current_usage
SELECT CASE WHEN COALESCE((SELECT max(id) FROM a2a_usage), 0) - r.last_id <= 20000 THEN
    (SELECT COALESCE(sum(requests), 0) FROM a2a_usage_months
      WHERE client_id = :client_id AND month >= substr(:month_start, 1, 7))
    + (SELECT COALESCE(sum(sign), 0) FROM a2a_usage_changes
      WHERE client_id = :client_id AND timestamp_us >= micros(:month_start))
    + (SELECT count(*) FROM a2a_usage NOT INDEXED
      WHERE id > r.last_id AND client_id = :client_id
        AND micros(timestamp) >= micros(:month_start))
  ELSE (SELECT count(*) FROM a2a_usage WHERE client_id = :client_id
      AND timestamp_us >= micros(:month_start)) END AS result
FROM usage_rolled r WHERE r.source = 'a2a_usage'

-- name: get_a2a_usage_stats
WITH period AS (SELECT micros(:start_date) AS a, micros(:end_date) AS b, 1 AS by_day),
{counted_a2a},
tools AS (
  SELECT tool_name, sum(requests) AS requests, sum(successful) AS successful,
    sum(failed) AS failed, sum(time_ms) AS time_ms
  FROM counted GROUP BY tool_name HAVING sum(requests) <> 0 ORDER BY tool_name),
claimed AS (
  SELECT h.capability, h.requests
  FROM spans CROSS JOIN a2a_usage_capabilities h ON h.client_id = :client_id
    AND h.hour >= spans.since AND h.hour < spans.until
  UNION ALL
  SELECT d.capability, d.requests
  FROM whole CROSS JOIN a2a_usage_capability_days d ON d.client_id = :client_id
    AND d.day >= whole.first_day AND d.day < whole.last_day
  UNION ALL
  SELECT capability, sum(sign) FROM (
    SELECT DISTINCT n, sign, e.value AS capability
    FROM (SELECT row_number() OVER () AS n, sign, client_capabilities FROM single) AS each,
      json_each(each.client_capabilities) e)
  GROUP BY capability),
capabilities AS (
  SELECT capability, sum(requests) AS requests FROM claimed
  GROUP BY capability HAVING sum(requests) <> 0 ORDER BY capability)
SELECT :client_id AS client_id, :start_date AS period_start, :end_date AS period_end,
  COALESCE(sum(requests), 0) AS total_requests, COALESCE(sum(successful), 0) AS successful_requests,
  COALESCE(sum(failed), 0) AS failed_requests, COALESCE(sum(time_ms), 0) AS total_response_time_ms,
  json_group_object(tool_name, requests) AS tool_usage,
  (SELECT json_group_object(capability, requests) FROM capabilities) AS capability_usage
FROM tools

-- name: get_a2a_client_usage_history
WITH period AS (SELECT micros(:days_start) AS a, 253402300800000000 AS b, 1 AS by_day),
{counted_a2a}
SELECT strftime('%Y-%m-%dT00:00:00+00:00', day * 86400, 'unixepoch') AS day, success_count,
  error_count FROM (
  SELECT day_of(hour) / 24 AS day, sum(requests) - sum(failed) AS success_count,
    sum(failed) AS error_count
  FROM counted
  GROUP BY 1 HAVING sum(requests) <> 0)
ORDER BY day
