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

-- A session token is stored as it is, or as its hash. Callers have the token itself, so a look-up
-- tries both forms. What has the form of a hash is never a token: `unhashed` is NULL then.
-- define: session_of token
COALESCE((SELECT id FROM a2a_sessions WHERE session_token = :{token}_hashed),
  (SELECT id FROM a2a_sessions WHERE session_token = :{token}_unhashed))

-- name: create_a2a_session
INSERT INTO a2a_sessions (id, client, session_token, user_id, granted_scopes, created_at,
  expires_at, last_activity, is_active)
SELECT :new_id, c.number, :new_token_stored, :user_id,
  ARRAY(SELECT jsonb_array_elements_text(:granted_scopes)), :now, :expires_at_computed, :now, true
FROM a2a_clients c WHERE c.id = :client_id
RETURNING :new_token AS result

-- name: get_a2a_session
SELECT s.id AS id, c.id AS client_id, s.user_id AS user_id,
  array_to_json(s.granted_scopes)::text AS granted_scopes, s.created_at AS created_at,
  s.expires_at AS expires_at, s.last_activity AS last_activity,
  (SELECT count(*) FROM a2a_usage u WHERE u.session_id = s.id) AS requests_count
FROM a2a_sessions s JOIN a2a_clients c ON c.number = s.client
WHERE s.session_token IN (:session_token_hashed, :session_token_unhashed) AND s.is_active
  AND s.expires_at > :now

-- The hash is the key by which all daemons order their locks, also where the row has no hash yet.
-- name: update_a2a_session_activity
UPDATE a2a_sessions SET last_activity = :now
WHERE session_token = COALESCE(
  (SELECT session_token FROM a2a_sessions WHERE session_token = :session_token_hashed),
  :session_token_unhashed)

-- The session is given by its id or its token; only a valid id may be cast.
-- name: create_a2a_task
INSERT INTO a2a_tasks (id, client, session_id, task_type, input_data, input_data_exact, status,
  created_at)
SELECT :new_id, c.number, given.id, :task_type, :input_data, :input_data_exact, 'pending', :now
FROM (SELECT (SELECT s.id FROM a2a_sessions s
   WHERE s.session_token IN (:session_id_hashed, :session_id_unhashed)
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

-- What is counted of a row.
-- define: a2a_facts u
{u}.tool_name, {u}.status_code, {u}.response_time_ms, {u}.client_capabilities

-- The usage of the client in the period `period(a, b, by_day)`: see counted_usage in usage.sql.
-- `single` are the rows beside the rollups.
-- define: counted_a2a
asked AS MATERIALIZED (SELECT number FROM a2a_clients WHERE id = :client_id),
{usage_given a2a_usage},
chosen AS MATERIALIZED (
  SELECT g.*,
    date_trunc('hour', g.a, 'UTC') < date_trunc('hour', g.b, 'UTC')
    AND NOT EXISTS (SELECT 1 FROM a2a_usage u WHERE u.id > g.last_id
      ORDER BY u.id OFFSET 20000 LIMIT 1)
    AND NOT EXISTS (SELECT 1 FROM asked k JOIN a2a_usage_hours h ON h.client = k.number
      WHERE h.odd <> 0 AND h.hour >= g.kept_from
        AND h.hour >= date_trunc('hour', g.a, 'UTC') AND h.hour <= g.b)
    AND NOT EXISTS (SELECT 1 FROM asked k JOIN a2a_usage_changes c ON c.client = k.number
      WHERE c.usage_id <= g.last_id AND (odd_time(c.response_time_ms)
        OR array_position(c.client_capabilities, NULL) IS NOT NULL)) AS rolled
  FROM given g),
{usage_edges},
single AS MATERIALIZED (
  SELECT c.sign, c.timestamp, {a2a_facts c}
  FROM bounds CROSS JOIN asked k JOIN a2a_usage_changes c ON c.client = k.number
    AND c.timestamp >= bounds.whole_a AND c.timestamp < bounds.whole_b
    AND c.usage_id <= bounds.last
  UNION ALL
  SELECT e.sign, u.timestamp, {a2a_facts u}
  FROM edges e CROSS JOIN asked k JOIN a2a_usage u ON u.client = k.number
    AND u.timestamp >= e.since AND u.timestamp < e.until
  WHERE u.id <= e.last
  UNION ALL
  SELECT 1, u.timestamp, {a2a_facts u}
  FROM bounds CROSS JOIN LATERAL (SELECT * FROM a2a_usage WHERE id > bounds.last
    ORDER BY id LIMIT 20000) AS u
  WHERE u.client IN (SELECT number FROM asked) AND u.timestamp >= bounds.a
    AND u.timestamp < bounds.b),
counted AS (
  SELECT h.hour AS at, h.tool_name, h.requests, h.successful, h.failed, h.time_ms
  FROM spans CROSS JOIN asked k JOIN a2a_usage_hours h ON h.client = k.number
    AND h.hour >= spans.since AND h.hour < spans.until
  UNION ALL
  SELECT d.day, d.tool_name, d.requests, d.successful, d.failed, d.time_ms
  FROM whole CROSS JOIN asked k JOIN a2a_usage_days d ON d.client = k.number
    AND d.day >= whole.first_day AND d.day < whole.last_day
  UNION ALL
  SELECT timestamp, tool_name, sign,
    CASE WHEN status_code BETWEEN 200 AND 299 THEN sign ELSE 0 END,
    CASE WHEN status_code >= 400 THEN sign ELSE 0 END, sign * COALESCE(response_time_ms, 0)
  FROM single)

-- name: record_a2a_usage
INSERT INTO a2a_usage (client, session_id, timestamp, tool_name, response_time_ms, status_code,
  error_message, request_size_bytes, response_size_bytes, ip_address, ip_text, user_agent,
  protocol_version, client_capabilities, granted_scopes)
SELECT c.number, given.id, :timestamp, :tool_name, :response_time_ms, :status_code, :error_message,
  :request_size_bytes, :response_size_bytes, :ip_address, :ip_address_exact, :user_agent,
  :protocol_version, ARRAY(SELECT jsonb_array_elements_text(:client_capabilities)),
  ARRAY(SELECT jsonb_array_elements_text(:granted_scopes))
FROM (SELECT {session_of session_token} AS id) AS given, a2a_clients c
WHERE c.id = :client_id
  AND (:session_token_hashed IS NULL OR given.id IS NOT NULL)

-- name: record_a2a_usages
WITH given AS MATERIALIZED (
  SELECT r.*, (SELECT c.number FROM a2a_clients c WHERE c.id = r.client_id) AS number,
    (SELECT s.id FROM a2a_sessions s WHERE s.session_token IN (r.hashed, r.unhashed))
      AS session_id
  FROM unnest(:client_id, :session_token_hashed, :session_token_unhashed, :timestamp, :tool_name,
    :response_time_ms, :status_code, :error_message, :request_size_bytes, :response_size_bytes,
    :ip_address, :ip_address_exact, :user_agent, :protocol_version, :client_capabilities,
    :granted_scopes)
    WITH ORDINALITY AS r(client_id, hashed, unhashed, timestamp, tool_name, response_time_ms,
    status_code, error_message, request_size_bytes, response_size_bytes, ip_address, ip_text,
    user_agent, protocol_version, client_capabilities, granted_scopes, place)),
missing AS MATERIALIZED (
  SELECT place, CASE WHEN hashed IS NOT NULL AND session_id IS NULL THEN 'session_token'
    ELSE 'client_id' END AS member
  FROM given WHERE number IS NULL OR (hashed IS NOT NULL AND session_id IS NULL)
  ORDER BY place LIMIT 1),
added AS (
  INSERT INTO a2a_usage (client, session_id, timestamp, tool_name, response_time_ms, status_code,
    error_message, request_size_bytes, response_size_bytes, ip_address, ip_text, user_agent,
    protocol_version, client_capabilities, granted_scopes)
  SELECT number, session_id, timestamp, tool_name, response_time_ms, status_code, error_message,
    request_size_bytes, response_size_bytes, ip_address::inet, ip_text, user_agent,
    protocol_version, ARRAY(SELECT jsonb_array_elements_text(client_capabilities)),
    ARRAY(SELECT jsonb_array_elements_text(granted_scopes))
  FROM given WHERE NOT EXISTS (SELECT FROM missing) ORDER BY place)
SELECT place, member FROM missing

-- name: get_a2a_client_current_usage
SELECT CASE WHEN NOT EXISTS (SELECT 1 FROM a2a_usage u WHERE u.id > r.last_id
    ORDER BY u.id OFFSET 20000 LIMIT 1) THEN
    (SELECT COALESCE(sum(m.requests), 0)::bigint FROM a2a_usage_months m
      WHERE m.client = k.number AND m.month >= :month_start)
    + (SELECT COALESCE(sum(c.sign), 0) FROM a2a_usage_changes c
      WHERE c.client = k.number AND c.timestamp >= :month_start AND c.usage_id <= r.last_id)
    + (SELECT count(*) FROM (SELECT * FROM a2a_usage WHERE id > r.last_id
        ORDER BY id LIMIT 20000) AS u
      WHERE u.client = k.number AND u.timestamp >= :month_start)
  ELSE (SELECT count(*) FROM a2a_usage u WHERE u.client = k.number
      AND u.timestamp >= :month_start) END AS result
FROM usage_rolled r CROSS JOIN (SELECT (SELECT number FROM a2a_clients WHERE id = :client_id)) AS k
WHERE r.source = 'a2a_usage'

-- name: get_a2a_usage_stats
WITH period AS (SELECT :start_date AS a, :end_date AS b, true AS by_day),
{counted_a2a},
tools AS (
  SELECT tool_name, sum(requests)::bigint AS requests, sum(successful) AS successful,
    sum(failed) AS failed, sum(time_ms) AS time_ms
  FROM counted GROUP BY tool_name HAVING sum(requests) <> 0),
claimed AS (
  SELECT h.capability, h.requests
  FROM spans CROSS JOIN asked k JOIN a2a_usage_capabilities h ON h.client = k.number
    AND h.hour >= spans.since AND h.hour < spans.until
  UNION ALL
  SELECT d.capability, d.requests
  FROM whole CROSS JOIN asked k JOIN a2a_usage_capability_days d ON d.client = k.number
    AND d.day >= whole.first_day AND d.day < whole.last_day
  UNION ALL
  SELECT e.capability, s.sign
  FROM single s CROSS JOIN LATERAL (SELECT DISTINCT capability
    FROM unnest(s.client_capabilities) AS u(capability)) AS e),
capabilities AS (
  SELECT capability, sum(requests)::bigint AS requests
  FROM claimed GROUP BY capability HAVING sum(requests) <> 0)
SELECT :client_id AS client_id, :start_date AS period_start, :end_date AS period_end,
  COALESCE(sum(requests), 0)::bigint AS total_requests,
  COALESCE(sum(successful), 0)::bigint AS successful_requests,
  COALESCE(sum(failed), 0)::bigint AS failed_requests,
  COALESCE(sum(time_ms), 0)::bigint AS total_response_time_ms,
  COALESCE(json_object_agg(tool_name, requests ORDER BY tool_name COLLATE "C"),
    '{}')::text AS tool_usage,
  (SELECT COALESCE(json_object_agg(capability, requests ORDER BY capability COLLATE "C"),
    '{}')::text FROM capabilities) AS capability_usage
FROM tools

-- name: get_a2a_client_usage_history
WITH period AS (SELECT :days_start AS a, timestamptz '10000-01-01T00:00:00Z' AS b, true AS by_day),
{counted_a2a}
SELECT date_trunc('day', at, 'UTC') AS day,
  (sum(requests) - sum(failed))::bigint AS success_count, sum(failed)::bigint AS error_count
FROM counted
GROUP BY 1 HAVING sum(requests) <> 0
ORDER BY 1
