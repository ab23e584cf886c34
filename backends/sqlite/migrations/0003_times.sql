-- Times as microseconds since 1970, for comparing and ordering: the text columns hold two forms
-- that do not compare as text. The columns are computed by built-in functions alone, so they are
-- right whichever program writes the row, and its SQLite can keep the indexes.

ALTER TABLE goals ADD COLUMN created_us INTEGER
  GENERATED ALWAYS AS (CAST(strftime('%s', substr(created_at, 1, 19)) AS INTEGER) * 1000000
  + CAST(round(CAST('0' || substr(created_at, 20, 7) AS REAL) * 1000000) AS INTEGER)) VIRTUAL;
ALTER TABLE analytics_insights ADD COLUMN created_us INTEGER
  GENERATED ALWAYS AS (CAST(strftime('%s', substr(created_at, 1, 19)) AS INTEGER) * 1000000
  + CAST(round(CAST('0' || substr(created_at, 20, 7) AS REAL) * 1000000) AS INTEGER)) VIRTUAL;
ALTER TABLE api_keys ADD COLUMN created_us INTEGER
  GENERATED ALWAYS AS (CAST(strftime('%s', substr(created_at, 1, 19)) AS INTEGER) * 1000000
  + CAST(round(CAST('0' || substr(created_at, 20, 7) AS REAL) * 1000000) AS INTEGER)) VIRTUAL;
ALTER TABLE api_keys ADD COLUMN expires_us INTEGER
  GENERATED ALWAYS AS (CAST(strftime('%s', substr(expires_at, 1, 19)) AS INTEGER) * 1000000
  + CAST(round(CAST('0' || substr(expires_at, 20, 7) AS REAL) * 1000000) AS INTEGER)) VIRTUAL;
ALTER TABLE a2a_clients ADD COLUMN created_us INTEGER
  GENERATED ALWAYS AS (CAST(strftime('%s', substr(created_at, 1, 19)) AS INTEGER) * 1000000
  + CAST(round(CAST('0' || substr(created_at, 20, 7) AS REAL) * 1000000) AS INTEGER)) VIRTUAL;
ALTER TABLE a2a_sessions ADD COLUMN expires_us INTEGER
  GENERATED ALWAYS AS (CAST(strftime('%s', substr(expires_at, 1, 19)) AS INTEGER) * 1000000
  + CAST(round(CAST('0' || substr(expires_at, 20, 7) AS REAL) * 1000000) AS INTEGER)) VIRTUAL;
ALTER TABLE api_key_usage ADD COLUMN timestamp_us INTEGER
  GENERATED ALWAYS AS (CAST(strftime('%s', substr(timestamp, 1, 19)) AS INTEGER) * 1000000
  + CAST(round(CAST('0' || substr(timestamp, 20, 7) AS REAL) * 1000000) AS INTEGER)) VIRTUAL;
ALTER TABLE a2a_usage ADD COLUMN timestamp_us INTEGER
  GENERATED ALWAYS AS (CAST(strftime('%s', substr(timestamp, 1, 19)) AS INTEGER) * 1000000
  + CAST(round(CAST('0' || substr(timestamp, 20, 7) AS REAL) * 1000000) AS INTEGER)) VIRTUAL;

-- The usage logs take a row for every request: the new indexes stand in place of those that they
-- make useless.
DROP INDEX IF EXISTS idx_usage_api_key_id;
DROP INDEX IF EXISTS idx_usage_timestamp;
DROP INDEX IF EXISTS idx_usage_tool_name;
DROP INDEX IF EXISTS idx_a2a_usage_client_id;
DROP INDEX IF EXISTS idx_a2a_usage_timestamp;
DROP INDEX IF EXISTS idx_a2a_usage_tool_name;
CREATE INDEX idx_usage_key_time ON api_key_usage(api_key_id, timestamp_us);
CREATE INDEX idx_usage_time ON api_key_usage(timestamp_us);
CREATE INDEX idx_a2a_usage_client_time ON a2a_usage(client_id, timestamp_us);
CREATE INDEX idx_goals_user_time ON goals(user_id, created_us, id);
CREATE INDEX idx_insights_user_time ON analytics_insights(user_id, created_us, id);
CREATE INDEX idx_api_keys_expiry ON api_keys(expires_us) WHERE is_active = 1;
CREATE INDEX idx_a2a_sessions_user_id ON a2a_sessions(user_id);
CREATE INDEX idx_a2a_tasks_session_id ON a2a_tasks(session_id);
