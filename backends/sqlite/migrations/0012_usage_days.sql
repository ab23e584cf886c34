-- Counts of usage for each day (UTC), so that statistics of a month or a year read 24 times fewer
-- rows than with those of hours.
--
-- The days before days_to hold what their hours hold. A sweep sums the days that have ended since:
-- those before days_next, for one parent after the other (usage_days.c). It works in steps, and has
-- summed the hours before days_at of days_parent, and all of the parents before it. What changes in
-- an hour that is summed changes in its day as well, in the same transaction.
--
-- day, days_to, days_next: the first hour of a day. -17268696: a day before the first time.

ALTER TABLE usage_rolled ADD COLUMN days_to INTEGER NOT NULL DEFAULT -17268696;
ALTER TABLE usage_rolled ADD COLUMN days_next INTEGER;
ALTER TABLE usage_rolled ADD COLUMN days_parent TEXT;
ALTER TABLE usage_rolled ADD COLUMN days_at INTEGER;

CREATE TABLE api_key_usage_days (
  api_key_id TEXT NOT NULL, day INTEGER NOT NULL, tool_name TEXT NOT NULL,
  requests INTEGER NOT NULL, successful INTEGER NOT NULL, failed INTEGER NOT NULL,
  time_ms INTEGER NOT NULL, timed INTEGER NOT NULL,
  PRIMARY KEY (api_key_id, day, tool_name)) WITHOUT ROWID;
CREATE TABLE a2a_usage_days (
  client_id TEXT NOT NULL, day INTEGER NOT NULL, tool_name TEXT NOT NULL,
  requests INTEGER NOT NULL, successful INTEGER NOT NULL, failed INTEGER NOT NULL,
  time_ms INTEGER NOT NULL, timed INTEGER NOT NULL,
  PRIMARY KEY (client_id, day, tool_name)) WITHOUT ROWID;
CREATE TABLE a2a_usage_capability_days (
  client_id TEXT NOT NULL, day INTEGER NOT NULL, capability TEXT NOT NULL,
  requests INTEGER NOT NULL, PRIMARY KEY (client_id, day, capability)) WITHOUT ROWID;

CREATE TRIGGER pierre_api_key_days_deleted AFTER DELETE ON api_keys
WHEN NOT EXISTS (SELECT 1 FROM api_key_usage WHERE api_key_id = old.id)
BEGIN
  DELETE FROM api_key_usage_days WHERE api_key_id = old.id;
END;
CREATE TRIGGER pierre_a2a_client_days_deleted AFTER DELETE ON a2a_clients
WHEN NOT EXISTS (SELECT 1 FROM a2a_usage WHERE client_id = old.id)
BEGIN
  DELETE FROM a2a_usage_days WHERE client_id = old.id;
  DELETE FROM a2a_usage_capability_days WHERE client_id = old.id;
END;
