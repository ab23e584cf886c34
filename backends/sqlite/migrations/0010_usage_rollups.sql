-- Counts of usage for each hour, so that statistics need not read the rows of their period.
--
-- The rollups hold the rows up to usage_rolled.last_id; statistics count later rows themselves. The
-- daemon rolls up the rows in steps (rollup.c), those of an existing installation as well as new
-- ones. So writing a row costs next to nothing here, whichever program writes it. A row that is
-- changed or deleted after it was rolled up, or written with such an id, leaves an entry in
-- …_changes, which counts until a step takes it into the rollups.
--
-- kept_from (µs): rows of earlier hours may have been dropped by usage-retention, which sets
-- `dropping` meanwhile. hour: hours since 1970. A row whose time is invalid belongs to no
-- period. odd: rows with a value
-- that cannot be summed; statistics of their hour read the rows. The tables refer to no parent: an
-- installation may hold rows without one. timestamp_us is as in the row.

CREATE TABLE usage_rolled (
  source TEXT PRIMARY KEY, last_id INTEGER NOT NULL, kept_from INTEGER NOT NULL,
  dropping INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
INSERT INTO usage_rolled (source, last_id, kept_from) VALUES
  ('api_key_usage', -9223372036854775808, -9223372036854775808),
  ('a2a_usage', -9223372036854775808, -9223372036854775808);

CREATE TABLE api_key_usage_hours (
  api_key_id TEXT NOT NULL, hour INTEGER NOT NULL, tool_name TEXT NOT NULL,
  requests INTEGER NOT NULL, successful INTEGER NOT NULL, failed INTEGER NOT NULL,
  time_ms INTEGER NOT NULL, timed INTEGER NOT NULL, odd INTEGER NOT NULL,
  PRIMARY KEY (api_key_id, hour, tool_name)) WITHOUT ROWID;
CREATE INDEX idx_api_key_usage_hours_odd ON api_key_usage_hours(api_key_id, hour) WHERE odd <> 0;
CREATE TABLE api_key_usage_months (
  api_key_id TEXT NOT NULL, month TEXT NOT NULL, requests INTEGER NOT NULL,
  PRIMARY KEY (api_key_id, month)) WITHOUT ROWID;
CREATE TABLE api_key_usage_changes (
  number INTEGER PRIMARY KEY, sign INTEGER NOT NULL, api_key_id TEXT NOT NULL,
  timestamp_us INTEGER, tool_name TEXT NOT NULL, response_time_ms INTEGER,
  status_code INTEGER NOT NULL);
CREATE INDEX idx_api_key_usage_changes_key ON api_key_usage_changes(api_key_id);

CREATE TABLE a2a_usage_hours (
  client_id TEXT NOT NULL, hour INTEGER NOT NULL, tool_name TEXT NOT NULL,
  requests INTEGER NOT NULL, successful INTEGER NOT NULL, failed INTEGER NOT NULL,
  time_ms INTEGER NOT NULL, timed INTEGER NOT NULL, odd INTEGER NOT NULL,
  PRIMARY KEY (client_id, hour, tool_name)) WITHOUT ROWID;
CREATE INDEX idx_a2a_usage_hours_odd ON a2a_usage_hours(client_id, hour) WHERE odd <> 0;
CREATE TABLE a2a_usage_capabilities (
  client_id TEXT NOT NULL, hour INTEGER NOT NULL, capability TEXT NOT NULL,
  requests INTEGER NOT NULL, PRIMARY KEY (client_id, hour, capability)) WITHOUT ROWID;
CREATE TABLE a2a_usage_months (
  client_id TEXT NOT NULL, month TEXT NOT NULL, requests INTEGER NOT NULL,
  PRIMARY KEY (client_id, month)) WITHOUT ROWID;
CREATE TABLE a2a_usage_changes (
  number INTEGER PRIMARY KEY, sign INTEGER NOT NULL, client_id TEXT NOT NULL,
  timestamp_us INTEGER, tool_name TEXT NOT NULL, response_time_ms INTEGER,
  status_code INTEGER NOT NULL, client_capabilities TEXT);
CREATE INDEX idx_a2a_usage_changes_client ON a2a_usage_changes(client_id);

-- The triggers use nothing but columns and comparisons, so that every program's SQLite runs them.
CREATE TRIGGER pierre_api_key_usage_updated
AFTER UPDATE OF id, api_key_id, timestamp, tool_name, response_time_ms, status_code
ON api_key_usage
BEGIN
  INSERT INTO api_key_usage_changes (sign, api_key_id, timestamp_us, tool_name, response_time_ms,
    status_code)
  SELECT -1, old.api_key_id, old.timestamp_us, old.tool_name, old.response_time_ms, old.status_code
  FROM usage_rolled WHERE source = 'api_key_usage' AND old.id <= last_id;
  INSERT INTO api_key_usage_changes (sign, api_key_id, timestamp_us, tool_name, response_time_ms,
    status_code)
  SELECT 1, new.api_key_id, new.timestamp_us, new.tool_name, new.response_time_ms, new.status_code
  FROM usage_rolled WHERE source = 'api_key_usage' AND new.id <= last_id;
END;
CREATE TRIGGER pierre_api_key_usage_deleted AFTER DELETE ON api_key_usage
BEGIN
  INSERT INTO api_key_usage_changes (sign, api_key_id, timestamp_us, tool_name, response_time_ms,
    status_code)
  SELECT -1, old.api_key_id, old.timestamp_us, old.tool_name, old.response_time_ms, old.status_code
  FROM usage_rolled WHERE source = 'api_key_usage' AND old.id <= last_id AND NOT dropping;
END;
-- The cascade has deleted the rows before. Rows that stay, without foreign keys, stay counted.
CREATE TRIGGER pierre_api_keys_deleted AFTER DELETE ON api_keys
WHEN NOT EXISTS (SELECT 1 FROM api_key_usage WHERE api_key_id = old.id)
BEGIN
  DELETE FROM api_key_usage_hours WHERE api_key_id = old.id;
  DELETE FROM api_key_usage_months WHERE api_key_id = old.id;
  DELETE FROM api_key_usage_changes WHERE api_key_id = old.id;
END;

CREATE TRIGGER pierre_a2a_usage_updated
AFTER UPDATE OF id, client_id, timestamp, tool_name, response_time_ms, status_code,
  client_capabilities
ON a2a_usage
BEGIN
  INSERT INTO a2a_usage_changes (sign, client_id, timestamp_us, tool_name, response_time_ms,
    status_code, client_capabilities)
  SELECT -1, old.client_id, old.timestamp_us, old.tool_name, old.response_time_ms, old.status_code,
    old.client_capabilities
  FROM usage_rolled WHERE source = 'a2a_usage' AND old.id <= last_id;
  INSERT INTO a2a_usage_changes (sign, client_id, timestamp_us, tool_name, response_time_ms,
    status_code, client_capabilities)
  SELECT 1, new.client_id, new.timestamp_us, new.tool_name, new.response_time_ms, new.status_code,
    new.client_capabilities
  FROM usage_rolled WHERE source = 'a2a_usage' AND new.id <= last_id;
END;
CREATE TRIGGER pierre_a2a_usage_deleted AFTER DELETE ON a2a_usage
BEGIN
  INSERT INTO a2a_usage_changes (sign, client_id, timestamp_us, tool_name, response_time_ms,
    status_code, client_capabilities)
  SELECT -1, old.client_id, old.timestamp_us, old.tool_name, old.response_time_ms, old.status_code,
    old.client_capabilities
  FROM usage_rolled WHERE source = 'a2a_usage' AND old.id <= last_id AND NOT dropping;
END;
CREATE TRIGGER pierre_a2a_clients_deleted AFTER DELETE ON a2a_clients
WHEN NOT EXISTS (SELECT 1 FROM a2a_usage WHERE client_id = old.id)
BEGIN
  DELETE FROM a2a_usage_hours WHERE client_id = old.id;
  DELETE FROM a2a_usage_capabilities WHERE client_id = old.id;
  DELETE FROM a2a_usage_months WHERE client_id = old.id;
  DELETE FROM a2a_usage_changes WHERE client_id = old.id;
END;
