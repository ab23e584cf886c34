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

-- name: create_a2a_session
INSERT INTO a2a_sessions (id, client_id, session_token, user_id, granted_scopes, created_at,
  expires_at, last_activity, is_active)
VALUES (:new_id, :client_id, :new_token, :user_id, :granted_scopes, :now, :expires_at_computed,
  :now, 1)
RETURNING session_token AS result

-- name: get_a2a_session
SELECT s.id AS id, s.client_id AS client_id, s.user_id AS user_id,
  s.granted_scopes AS granted_scopes, s.created_at AS created_at, s.expires_at AS expires_at,
  s.last_activity AS last_activity,
  (SELECT count(*) FROM a2a_usage u WHERE u.session_token = s.session_token) AS requests_count
FROM a2a_sessions s
WHERE s.session_token = :session_token AND s.is_active = 1
  AND (s.expires_us > micros(:now) OR s.expires_us IS NULL)

-- name: update_a2a_session_activity
UPDATE a2a_sessions SET last_activity = :now WHERE session_token = :session_token

-- An old default created ids of 32 digits without hyphens, and a caller may write any id that way:
-- look-ups accept both forms.
-- name: create_a2a_task
INSERT INTO a2a_tasks (id, client_id, session_id, task_type, input_data, status, created_at)
SELECT :new_id, :client_id, given.id, :task_type, :input_data, 'pending', :now
FROM (SELECT (SELECT id FROM a2a_sessions
   WHERE session_token = :session_id
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

-- name: record_a2a_usage
INSERT INTO a2a_usage (client_id, session_token, timestamp, tool_name, response_time_ms,
  status_code, error_message, request_size_bytes, response_size_bytes, ip_address, user_agent,
  protocol_version, client_capabilities, granted_scopes)
VALUES (:client_id, :session_token, :timestamp, :tool_name, :response_time_ms, :status_code,
  :error_message, :request_size_bytes, :response_size_bytes, :ip_address, :user_agent,
  :protocol_version, :client_capabilities, :granted_scopes)

-- name: get_a2a_client_current_usage
SELECT count(*) AS result FROM a2a_usage WHERE client_id = :client_id
  AND timestamp_us >= micros(:month_start)

-- name: get_a2a_usage_stats
WITH requests AS (
  SELECT id, tool_name, status_code, response_time_ms, client_capabilities
  FROM a2a_usage
  WHERE client_id = :client_id AND timestamp_us >= micros(:start_date)
    AND timestamp_us < micros(:end_date) AND
    CASE WHEN typeof(status_code) <> 'integer' THEN unsound('status_code', id)
      WHEN typeof(response_time_ms) NOT IN ('integer', 'null')
        THEN unsound('response_time_ms', id) ELSE 1 END),
tools AS (SELECT tool_name, count(*) AS n FROM requests GROUP BY tool_name ORDER BY tool_name),
capabilities AS (
  SELECT capability, count(*) AS n
  FROM (SELECT DISTINCT r.id, e.value AS capability FROM requests r,
    json_each(r.client_capabilities) e)
  GROUP BY capability ORDER BY capability)
SELECT :client_id AS client_id, :start_date AS period_start, :end_date AS period_end,
  count(*) AS total_requests, COALESCE(sum(status_code BETWEEN 200 AND 299),
    0) AS successful_requests, COALESCE(sum(status_code >= 400), 0) AS failed_requests,
  COALESCE(sum(response_time_ms), 0) AS total_response_time_ms,
  (SELECT json_group_object(tool_name, n) FROM tools) AS tool_usage,
  (SELECT json_group_object(capability, n) FROM capabilities) AS capability_usage
FROM requests

-- name: get_a2a_client_usage_history
SELECT strftime('%Y-%m-%dT00:00:00+00:00', day * 86400, 'unixepoch') AS day, success_count,
  error_count FROM (
  SELECT (timestamp_us + 62167219200000000) / 86400000000 - 719528 AS day,
    sum(status_code < 400) AS success_count, sum(status_code >= 400) AS error_count
  FROM a2a_usage WHERE client_id = :client_id AND timestamp_us >= micros(:days_start) AND
    CASE WHEN typeof(status_code) <> 'integer' THEN unsound('status_code', id)
      WHEN typeof(response_time_ms) NOT IN ('integer', 'null')
        THEN unsound('response_time_ms', id) ELSE 1 END
  GROUP BY 1)
ORDER BY day
