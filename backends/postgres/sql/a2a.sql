-- Agent-to-agent: clients, sessions, tasks and the log of what they did.

-- columns: A2AClient c
c.id, c.name, c.description, c.public_key, array_to_json(c.capabilities)::text AS capabilities,
array_to_json(c.redirect_uris)::text AS redirect_uris, c.is_active, c.created_at

-- name: create_a2a_client
INSERT INTO a2a_clients (id, api_key, name, description, public_key, capabilities, redirect_uris,
  is_active, created_at, updated_at)
SELECT :id, k.number, :name, :description, :public_key,
  ARRAY(SELECT jsonb_array_elements_text(:capabilities)),
  ARRAY(SELECT jsonb_array_elements_text(:redirect_uris)), :is_active, :created_at, :now
FROM api_keys k WHERE k.id = :api_key_id
RETURNING id AS result

-- name: get_a2a_client
SELECT {A2AClient} FROM a2a_clients WHERE id = :client_id

-- name: get_a2a_client_by_name
SELECT {A2AClient} FROM a2a_clients WHERE name = :name

-- Pages: see goals.sql. They are cut from all clients of the user: no index has them in order.
-- name: list_a2a_clients
WITH place AS MATERIALIZED (
  SELECT c.created_at, c.id FROM a2a_clients c JOIN api_keys k ON k.number = c.api_key
  WHERE c.id = :after AND k.user_id = :user_id AND k.is_active)
SELECT * FROM (
  SELECT {A2AClient c} FROM api_keys k JOIN a2a_clients c ON c.api_key = k.number
  WHERE k.user_id = :user_id AND k.is_active
    AND (:after IS NULL
      OR (c.created_at, c.id) < ((SELECT created_at FROM place), (SELECT id FROM place)))
  ORDER BY c.created_at DESC, c.id COLLATE "C" DESC LIMIT :limit) AS listed
UNION ALL
SELECT {NULL A2AClient} WHERE :after IS NOT NULL AND NOT EXISTS (SELECT 1 FROM place)

-- name: create_a2a_session
INSERT INTO a2a_sessions (id, client, session_token, user_id, granted_scopes, created_at,
  expires_at, last_activity, is_active)
SELECT :new_id, c.number, :new_token, :user_id,
  ARRAY(SELECT jsonb_array_elements_text(:granted_scopes)), :now, :expires_at_computed, :now, true
FROM a2a_clients c WHERE c.id = :client_id
RETURNING session_token AS result

-- name: get_a2a_session
SELECT s.id AS id, c.id AS client_id, s.user_id AS user_id,
  array_to_json(s.granted_scopes)::text AS granted_scopes, s.created_at AS created_at,
  s.expires_at AS expires_at, s.last_activity AS last_activity,
  (SELECT count(*) FROM a2a_usage u WHERE u.session_id = s.id) AS requests_count
FROM a2a_sessions s JOIN a2a_clients c ON c.number = s.client
WHERE s.session_token = :session_token AND s.is_active AND s.expires_at > :now

-- name: update_a2a_session_activity
UPDATE a2a_sessions SET last_activity = :now WHERE session_token = :session_token

-- The session is given by its id or its token; only a valid id may be cast.
-- name: create_a2a_task
INSERT INTO a2a_tasks (id, client, session_id, task_type, input_data, input_data_exact, status,
  created_at)
SELECT :new_id, c.number, given.id, :task_type, :input_data, :input_data_exact, 'pending', :now
FROM (SELECT (SELECT s.id FROM a2a_sessions s
   WHERE s.session_token = :session_id
     OR s.id = CASE
     WHEN lower(:session_id) ~
     '^([0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$'
     THEN :session_id::uuid END LIMIT 1) AS id) AS given, a2a_clients c
WHERE c.id = :client_id
  AND (:session_id IS NULL OR given.id IS NOT NULL)
RETURNING id AS result

-- name: get_a2a_task
SELECT t.id AS id, c.id AS client_id, t.session_id::text AS session_id, t.task_type AS task_type,
  COALESCE(t.input_data_exact, t.input_data::text) AS input_data, t.status AS status,
  t.created_at AS created_at, t.started_at AS started_at, t.completed_at AS completed_at,
  COALESCE(t.result_data_exact, t.result_data::text) AS result, t.error_message AS error
FROM a2a_tasks t JOIN a2a_clients c ON c.number = t.client WHERE t.id = :task_id

-- name: update_a2a_task_status
UPDATE a2a_tasks SET status = :status, result_data = :result, result_data_exact = :result_exact,
  error_message = :error,
  started_at = CASE WHEN :status = 'running' AND started_at IS NULL THEN :now ELSE started_at END,
  completed_at = CASE WHEN :status IN ('completed', 'failed', 'cancelled') THEN :now END
WHERE id = :task_id

-- name: record_a2a_usage
INSERT INTO a2a_usage (client, session_id, timestamp, tool_name, response_time_ms, status_code,
  error_message, request_size_bytes, response_size_bytes, ip_address, ip_text, user_agent,
  protocol_version, client_capabilities, granted_scopes)
SELECT c.number, given.id, :timestamp, :tool_name, :response_time_ms, :status_code, :error_message,
  :request_size_bytes, :response_size_bytes, :ip_address, :ip_address_exact, :user_agent,
  :protocol_version, ARRAY(SELECT jsonb_array_elements_text(:client_capabilities)),
  ARRAY(SELECT jsonb_array_elements_text(:granted_scopes))
FROM (SELECT (SELECT s.id FROM a2a_sessions s WHERE s.session_token = :session_token) AS id)
  AS given, a2a_clients c
WHERE c.id = :client_id
  AND (:session_token IS NULL OR given.id IS NOT NULL)

-- name: get_a2a_client_current_usage
SELECT count(*) AS result FROM a2a_usage
WHERE client = (SELECT number FROM a2a_clients WHERE id = :client_id)
  AND timestamp >= :month_start

-- name: get_a2a_usage_stats
WITH requests AS (
  SELECT id, tool_name, status_code, response_time_ms, client_capabilities
  FROM a2a_usage
  WHERE client = (SELECT number FROM a2a_clients WHERE id = :client_id)
    AND timestamp >= :start_date AND timestamp < :end_date),
tools AS (SELECT tool_name, count(*) AS n FROM requests GROUP BY tool_name),
capabilities AS (
  SELECT capability, count(*) AS n
  FROM (SELECT DISTINCT r.id, e.capability FROM requests r,
    unnest(r.client_capabilities) AS e(capability)) AS each
  GROUP BY capability)
SELECT :client_id AS client_id, :start_date AS period_start, :end_date AS period_end,
  count(*) AS total_requests, count(*) FILTER (WHERE status_code BETWEEN 200 AND 299)
    AS successful_requests,
  count(*) FILTER (WHERE status_code >= 400) AS failed_requests,
  COALESCE(sum(response_time_ms), 0)::bigint AS total_response_time_ms,
  (SELECT COALESCE(json_object_agg(tool_name, n ORDER BY tool_name COLLATE "C"), '{}')::text
    FROM tools) AS tool_usage,
  (SELECT COALESCE(json_object_agg(capability, n ORDER BY capability COLLATE "C"), '{}')::text
    FROM capabilities) AS capability_usage
FROM requests

-- name: get_a2a_client_usage_history
SELECT date_trunc('day', timestamp AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS day,
  count(*) FILTER (WHERE status_code < 400) AS success_count,
  count(*) FILTER (WHERE status_code >= 400) AS error_count
FROM a2a_usage
WHERE client = (SELECT number FROM a2a_clients WHERE id = :client_id)
  AND timestamp >= :days_start
GROUP BY 1 ORDER BY 1
