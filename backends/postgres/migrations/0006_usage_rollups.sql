-- Counts of usage for each hour, so that statistics need not read the rows of their period.
--
-- The rollups hold the rows up to usage_rolled.last_id; statistics count later rows themselves. The
-- daemons roll up the rows in steps, those of an existing installation as well as new ones. So
-- writing a row costs next to nothing here, whichever program writes it, and locks no row that
-- another writer needs. A row that is changed or deleted after it was rolled up, or written with
-- such an id, leaves an entry in …_changes. The entry counts as soon as its row is rolled up, until
-- a step takes it into the rollups.
--
-- kept_from: rows of earlier hours may have been dropped by usage-retention. odd: rows with a value
-- that cannot be summed; statistics of their hour read the rows.

CREATE TABLE usage_rolled (
  source TEXT NOT NULL, last_id BIGINT NOT NULL DEFAULT 0, next_id BIGINT NOT NULL DEFAULT 0,
  writers TEXT[], kept_from TIMESTAMPTZ NOT NULL DEFAULT '-infinity',
  CONSTRAINT usage_rolled_pkey PRIMARY KEY (source));
INSERT INTO usage_rolled (source, last_id, next_id)
  SELECT 'api_key_usage', least(0, min(id) - 1), least(0, min(id) - 1) FROM api_key_usage
  UNION ALL SELECT 'a2a_usage', least(0, min(id) - 1), least(0, min(id) - 1) FROM a2a_usage;

CREATE TABLE api_key_usage_hours (
  api_key BIGINT NOT NULL REFERENCES api_keys(number) ON DELETE CASCADE,
  hour TIMESTAMPTZ NOT NULL, tool_name TEXT COLLATE "C" NOT NULL, requests BIGINT NOT NULL,
  successful BIGINT NOT NULL, failed BIGINT NOT NULL, time_ms BIGINT NOT NULL,
  timed BIGINT NOT NULL, odd BIGINT NOT NULL,
  CONSTRAINT api_key_usage_hours_pkey PRIMARY KEY (api_key, hour, tool_name));
CREATE INDEX api_key_usage_hours_odd ON api_key_usage_hours (api_key, hour) WHERE odd <> 0;
CREATE TABLE api_key_usage_months (
  api_key BIGINT NOT NULL REFERENCES api_keys(number) ON DELETE CASCADE,
  month TIMESTAMPTZ NOT NULL, requests BIGINT NOT NULL,
  CONSTRAINT api_key_usage_months_pkey PRIMARY KEY (api_key, month));
CREATE TABLE api_key_usage_changes (
  number BIGINT GENERATED ALWAYS AS IDENTITY, usage_id BIGINT NOT NULL, sign INTEGER NOT NULL,
  api_key BIGINT NOT NULL, timestamp TIMESTAMPTZ NOT NULL, tool_name TEXT COLLATE "C" NOT NULL,
  response_time_ms BIGINT, status_code INTEGER NOT NULL,
  CONSTRAINT api_key_usage_changes_pkey PRIMARY KEY (number));
CREATE INDEX api_key_usage_changes_key ON api_key_usage_changes (api_key);
CREATE INDEX api_key_usage_changes_usage ON api_key_usage_changes (usage_id);

CREATE TABLE a2a_usage_hours (
  client BIGINT NOT NULL REFERENCES a2a_clients(number) ON DELETE CASCADE,
  hour TIMESTAMPTZ NOT NULL, tool_name TEXT COLLATE "C" NOT NULL, requests BIGINT NOT NULL,
  successful BIGINT NOT NULL, failed BIGINT NOT NULL, time_ms BIGINT NOT NULL,
  timed BIGINT NOT NULL, odd BIGINT NOT NULL,
  CONSTRAINT a2a_usage_hours_pkey PRIMARY KEY (client, hour, tool_name));
CREATE INDEX a2a_usage_hours_odd ON a2a_usage_hours (client, hour) WHERE odd <> 0;
CREATE TABLE a2a_usage_capabilities (
  client BIGINT NOT NULL REFERENCES a2a_clients(number) ON DELETE CASCADE,
  hour TIMESTAMPTZ NOT NULL, capability TEXT COLLATE "C" NOT NULL, requests BIGINT NOT NULL,
  CONSTRAINT a2a_usage_capabilities_pkey PRIMARY KEY (client, hour, capability));
CREATE TABLE a2a_usage_months (
  client BIGINT NOT NULL REFERENCES a2a_clients(number) ON DELETE CASCADE,
  month TIMESTAMPTZ NOT NULL, requests BIGINT NOT NULL,
  CONSTRAINT a2a_usage_months_pkey PRIMARY KEY (client, month));
CREATE TABLE a2a_usage_changes (
  number BIGINT GENERATED ALWAYS AS IDENTITY, usage_id BIGINT NOT NULL, sign INTEGER NOT NULL,
  client BIGINT NOT NULL, timestamp TIMESTAMPTZ NOT NULL, tool_name TEXT COLLATE "C" NOT NULL,
  response_time_ms BIGINT, status_code INTEGER NOT NULL, client_capabilities TEXT[] NOT NULL,
  CONSTRAINT a2a_usage_changes_pkey PRIMARY KEY (number));
CREATE INDEX a2a_usage_changes_client ON a2a_usage_changes (client);
CREATE INDEX a2a_usage_changes_usage ON a2a_usage_changes (usage_id);

-- The highest id that may be rolled up. A sequence, because every writer must see it at once, even
-- in a transaction that began before. A row up to it leaves an entry when it is written, changed or
-- deleted.
CREATE SEQUENCE api_key_usage_announced MINVALUE -9223372036854775807;
CREATE SEQUENCE a2a_usage_announced MINVALUE -9223372036854775807;
GRANT SELECT ON api_key_usage_announced, a2a_usage_announced TO PUBLIC;
SELECT setval('api_key_usage_announced', last_id) FROM usage_rolled WHERE source = 'api_key_usage';
SELECT setval('a2a_usage_announced', last_id) FROM usage_rolled WHERE source = 'a2a_usage';

CREATE FUNCTION odd_time(BIGINT) RETURNS BOOLEAN LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
  'SELECT COALESCE($1 NOT BETWEEN -1099511627776 AND 1099511627776, false)';

CREATE FUNCTION note_api_key_usage() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  IF current_setting('pierre.drops_usage', true) = 'on' THEN
    RETURN NULL;
  END IF;
  IF TG_OP <> 'INSERT' THEN
    INSERT INTO api_key_usage_changes (usage_id, sign, api_key, timestamp, tool_name,
      response_time_ms, status_code)
    VALUES (OLD.id, -1, OLD.api_key, OLD.timestamp, OLD.tool_name, OLD.response_time_ms,
      OLD.status_code);
  END IF;
  IF TG_OP <> 'DELETE' THEN
    INSERT INTO api_key_usage_changes (usage_id, sign, api_key, timestamp, tool_name,
      response_time_ms, status_code)
    VALUES (NEW.id, 1, NEW.api_key, NEW.timestamp, NEW.tool_name, NEW.response_time_ms,
      NEW.status_code);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER api_key_usage_inserted AFTER INSERT ON api_key_usage FOR EACH ROW
  WHEN (NEW.id <= pg_sequence_last_value('api_key_usage_announced'))
  EXECUTE FUNCTION note_api_key_usage();
CREATE TRIGGER api_key_usage_updated
  AFTER UPDATE OF id, api_key, timestamp, tool_name, response_time_ms, status_code
  ON api_key_usage FOR EACH ROW
  WHEN (least(OLD.id, NEW.id) <= pg_sequence_last_value('api_key_usage_announced'))
  EXECUTE FUNCTION note_api_key_usage();
CREATE TRIGGER api_key_usage_deleted AFTER DELETE ON api_key_usage FOR EACH ROW
  WHEN (OLD.id <= pg_sequence_last_value('api_key_usage_announced'))
  EXECUTE FUNCTION note_api_key_usage();

CREATE FUNCTION note_a2a_usage() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  IF current_setting('pierre.drops_usage', true) = 'on' THEN
    RETURN NULL;
  END IF;
  IF TG_OP <> 'INSERT' THEN
    INSERT INTO a2a_usage_changes (usage_id, sign, client, timestamp, tool_name, response_time_ms,
      status_code, client_capabilities)
    VALUES (OLD.id, -1, OLD.client, OLD.timestamp, OLD.tool_name, OLD.response_time_ms,
      OLD.status_code, OLD.client_capabilities);
  END IF;
  IF TG_OP <> 'DELETE' THEN
    INSERT INTO a2a_usage_changes (usage_id, sign, client, timestamp, tool_name, response_time_ms,
      status_code, client_capabilities)
    VALUES (NEW.id, 1, NEW.client, NEW.timestamp, NEW.tool_name, NEW.response_time_ms,
      NEW.status_code, NEW.client_capabilities);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER a2a_usage_inserted AFTER INSERT ON a2a_usage FOR EACH ROW
  WHEN (NEW.id <= pg_sequence_last_value('a2a_usage_announced'))
  EXECUTE FUNCTION note_a2a_usage();
CREATE TRIGGER a2a_usage_updated
  AFTER UPDATE OF id, client, timestamp, tool_name, response_time_ms, status_code,
    client_capabilities
  ON a2a_usage FOR EACH ROW
  WHEN (least(OLD.id, NEW.id) <= pg_sequence_last_value('a2a_usage_announced'))
  EXECUTE FUNCTION note_a2a_usage();
CREATE TRIGGER a2a_usage_deleted AFTER DELETE ON a2a_usage FOR EACH ROW
  WHEN (OLD.id <= pg_sequence_last_value('a2a_usage_announced'))
  EXECUTE FUNCTION note_a2a_usage();

-- The ends of a period: see counted_usage in usage.sql. Rows before kept_from are gone, so an hour
-- there cannot be divided.
CREATE FUNCTION kept_hour(at TIMESTAMPTZ, kept_from TIMESTAMPTZ) RETURNS TIMESTAMPTZ
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN CASE WHEN date_trunc('hour', at, 'UTC') < kept_from THEN date_trunc('hour', at, 'UTC')
    ELSE at END;
END $$;
-- The full hour with the shorter way, where only time that has passed counts: few rows are of the
-- future.
CREATE FUNCTION nearest_hour(at TIMESTAMPTZ, now TIMESTAMPTZ) RETURNS TIMESTAMPTZ
LANGUAGE plpgsql STABLE AS $$
DECLARE
  start TIMESTAMPTZ := date_trunc('hour', at, 'UTC');
BEGIN
  RETURN CASE WHEN greatest(least(now, start + interval '1 hour') - at, interval '0')
    < least(at, greatest(now, start)) - start THEN start + interval '1 hour' ELSE start END;
END $$;

-- The transactions that write to a log, or have done so.
CREATE FUNCTION usage_writers(log TEXT) RETURNS TEXT[] LANGUAGE sql AS $$
  SELECT COALESCE(array_agg(DISTINCT virtualtransaction), '{}') FROM pg_locks
  WHERE locktype = 'relation' AND relation = to_regclass(log)
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND mode = 'RowExclusiveLock' AND granted AND pid IS DISTINCT FROM pg_backend_pid()
$$;

-- The rows that a step may take: since < id <= through. No row: another daemon runs a step. First the
-- newest id is announced, and the transactions are listed that may still write rows up to it
-- without an entry: those that hold the table's lock for writing. When they have ended, the rows
-- are complete.
CREATE FUNCTION next_usage(log TEXT, OUT since BIGINT, OUT through BIGINT, OUT newest BIGINT)
RETURNS SETOF RECORD LANGUAGE plpgsql AS $$
DECLARE
  state usage_rolled;
  still TEXT[] := '{}';
BEGIN
  -- Each statement must see what was committed before it.
  IF current_setting('transaction_isolation') <> 'read committed'
    OR NOT pg_try_advisory_xact_lock('usage_rolled'::regclass::oid::int, hashtext(log)) THEN
    RETURN;
  END IF;
  SELECT * INTO state FROM usage_rolled AS r WHERE r.source = log;
  newest := greatest(pg_sequence_last_value(pg_get_serial_sequence(log, 'id')::regclass),
    state.next_id);
  IF state.next_id = state.last_id AND newest > state.next_id THEN
    PERFORM setval(to_regclass(log || '_announced'), newest);
    still := usage_writers(log);
    state.next_id := newest;
    UPDATE usage_rolled AS r SET next_id = newest, writers = still WHERE r.source = log;
  ELSIF cardinality(state.writers) > 0 THEN
    still := ARRAY(SELECT unnest(state.writers) INTERSECT SELECT unnest(usage_writers(log)));
    UPDATE usage_rolled AS r SET writers = still WHERE r.source = log;
  END IF;
  since := state.last_id;
  through := CASE WHEN cardinality(still) = 0 THEN state.next_id ELSE state.last_id END;
  RETURN NEXT;
END $$;

-- One step of at most max_rows rows and entries. The result: about how many are left; null: another
-- daemon runs a step. One statement, and so one snapshot, counts the rows and takes the entries: an
-- entry whose row is counted only now repeats what the row shows.
CREATE FUNCTION roll_up_api_key_usage(max_rows BIGINT) RETURNS BIGINT
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  step RECORD;
  last BIGINT;
BEGIN
  SELECT * INTO step FROM next_usage('api_key_usage');
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  last := COALESCE((SELECT id FROM api_key_usage WHERE id > step.since AND id <= step.through
    ORDER BY id OFFSET max_rows - 1 LIMIT 1), step.through);
  IF last > step.since OR EXISTS (SELECT 1 FROM api_key_usage_changes) THEN
    WITH gone AS (
      DELETE FROM api_key_usage_changes
      WHERE (usage_id > step.since AND usage_id <= last) OR number IN (
        SELECT number FROM api_key_usage_changes WHERE usage_id <= step.since
        ORDER BY usage_id LIMIT max_rows)
      RETURNING *),
    single AS (
      SELECT 1 AS sign, api_key, timestamp, tool_name, status_code, response_time_ms
      FROM api_key_usage WHERE id > step.since AND id <= last
      UNION ALL
      SELECT g.sign, g.api_key, g.timestamp, g.tool_name, g.status_code, g.response_time_ms
      FROM gone g JOIN api_keys k ON k.number = g.api_key WHERE g.usage_id <= step.since),
    parts AS MATERIALIZED (
      SELECT api_key, date_trunc('hour', timestamp, 'UTC') AS hour, tool_name,
        sum(sign) AS requests,
        sum(sign) FILTER (WHERE NOT odd_time(response_time_ms)
          AND status_code BETWEEN 200 AND 299) AS successful,
        sum(sign) FILTER (WHERE NOT odd_time(response_time_ms) AND status_code >= 400) AS failed,
        sum(sign * response_time_ms) FILTER (WHERE NOT odd_time(response_time_ms)) AS time_ms,
        sum(sign) FILTER (WHERE NOT odd_time(response_time_ms)
          AND response_time_ms IS NOT NULL) AS timed,
        sum(sign) FILTER (WHERE odd_time(response_time_ms)) AS odd
      FROM single GROUP BY 1, 2, 3),
    hours AS (
      INSERT INTO api_key_usage_hours AS h (api_key, hour, tool_name, requests, successful, failed,
        time_ms, timed, odd)
      SELECT api_key, hour, tool_name, requests, COALESCE(successful, 0), COALESCE(failed, 0),
        COALESCE(time_ms, 0), COALESCE(timed, 0), COALESCE(odd, 0) FROM parts
      ON CONFLICT (api_key, hour, tool_name) DO UPDATE SET
        requests = h.requests + excluded.requests,
        successful = h.successful + excluded.successful, failed = h.failed + excluded.failed,
        time_ms = h.time_ms + excluded.time_ms, timed = h.timed + excluded.timed,
        odd = h.odd + excluded.odd),
    months AS (
      INSERT INTO api_key_usage_months AS m (api_key, month, requests)
      SELECT api_key, date_trunc('month', hour, 'UTC'), sum(requests) FROM parts GROUP BY 1, 2
      ON CONFLICT (api_key, month) DO UPDATE SET requests = m.requests + excluded.requests)
    UPDATE usage_rolled SET last_id = last WHERE source = 'api_key_usage';
  END IF;
  RETURN step.newest - last
    + (SELECT count(*) FROM (SELECT 1 FROM api_key_usage_changes LIMIT max_rows) AS waiting);
END $$;

CREATE FUNCTION roll_up_a2a_usage(max_rows BIGINT) RETURNS BIGINT
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  step RECORD;
  last BIGINT;
BEGIN
  SELECT * INTO step FROM next_usage('a2a_usage');
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  last := COALESCE((SELECT id FROM a2a_usage WHERE id > step.since AND id <= step.through
    ORDER BY id OFFSET max_rows - 1 LIMIT 1), step.through);
  IF last > step.since OR EXISTS (SELECT 1 FROM a2a_usage_changes) THEN
    WITH gone AS (
      DELETE FROM a2a_usage_changes
      WHERE (usage_id > step.since AND usage_id <= last) OR number IN (
        SELECT number FROM a2a_usage_changes WHERE usage_id <= step.since
        ORDER BY usage_id LIMIT max_rows)
      RETURNING *),
    single AS MATERIALIZED (
      SELECT 1 AS sign, client, date_trunc('hour', timestamp, 'UTC') AS hour, tool_name,
        status_code, response_time_ms, client_capabilities,
        odd_time(response_time_ms) OR array_position(client_capabilities, NULL) IS NOT NULL AS odd
      FROM a2a_usage WHERE id > step.since AND id <= last
      UNION ALL
      SELECT g.sign, g.client, date_trunc('hour', g.timestamp, 'UTC'), g.tool_name, g.status_code,
        g.response_time_ms, g.client_capabilities,
        odd_time(g.response_time_ms) OR array_position(g.client_capabilities, NULL) IS NOT NULL
      FROM gone g JOIN a2a_clients c ON c.number = g.client WHERE g.usage_id <= step.since),
    parts AS MATERIALIZED (
      SELECT client, hour, tool_name, sum(sign) AS requests,
        sum(sign) FILTER (WHERE NOT odd AND status_code BETWEEN 200 AND 299) AS successful,
        sum(sign) FILTER (WHERE NOT odd AND status_code >= 400) AS failed,
        sum(sign * response_time_ms) FILTER (WHERE NOT odd) AS time_ms,
        sum(sign) FILTER (WHERE NOT odd AND response_time_ms IS NOT NULL) AS timed,
        sum(sign) FILTER (WHERE odd) AS odd
      FROM single GROUP BY 1, 2, 3),
    hours AS (
      INSERT INTO a2a_usage_hours AS h (client, hour, tool_name, requests, successful, failed,
        time_ms, timed, odd)
      SELECT client, hour, tool_name, requests, COALESCE(successful, 0), COALESCE(failed, 0),
        COALESCE(time_ms, 0), COALESCE(timed, 0), COALESCE(odd, 0) FROM parts
      ON CONFLICT (client, hour, tool_name) DO UPDATE SET
        requests = h.requests + excluded.requests,
        successful = h.successful + excluded.successful, failed = h.failed + excluded.failed,
        time_ms = h.time_ms + excluded.time_ms, timed = h.timed + excluded.timed,
        odd = h.odd + excluded.odd),
    capabilities AS (
      INSERT INTO a2a_usage_capabilities AS h (client, hour, capability, requests)
      SELECT s.client, s.hour, e.capability, sum(s.sign)
      FROM single s, LATERAL (SELECT DISTINCT capability
        FROM unnest(s.client_capabilities) AS u(capability)) AS e
      WHERE NOT s.odd GROUP BY 1, 2, 3
      ON CONFLICT (client, hour, capability) DO UPDATE SET
        requests = h.requests + excluded.requests),
    months AS (
      INSERT INTO a2a_usage_months AS m (client, month, requests)
      SELECT client, date_trunc('month', hour, 'UTC'), sum(requests) FROM parts GROUP BY 1, 2
      ON CONFLICT (client, month) DO UPDATE SET requests = m.requests + excluded.requests)
    UPDATE usage_rolled SET last_id = last WHERE source = 'a2a_usage';
  END IF;
  RETURN step.newest - last
    + (SELECT count(*) FROM (SELECT 1 FROM a2a_usage_changes LIMIT max_rows) AS waiting);
END $$;

-- Deletes at most max_rows rows of each log from before an hour's start. They stay counted. The
-- result: how many rows are gone.
CREATE FUNCTION drop_usage(before TIMESTAMPTZ, max_rows BIGINT) RETURNS BIGINT
LANGUAGE plpgsql AS $$
DECLARE
  ids BIGINT[];
  rolled BIGINT;
  gone BIGINT := 0;
BEGIN
  PERFORM set_config('pierre.drops_usage', 'on', true);
  IF pg_try_advisory_xact_lock('usage_rolled'::regclass::oid::int, hashtext('api_key_usage')) THEN
    SELECT last_id INTO rolled FROM usage_rolled WHERE source = 'api_key_usage';
    ids := ARRAY(SELECT id FROM api_key_usage WHERE timestamp < before AND id <= rolled
      ORDER BY timestamp LIMIT max_rows);
    IF cardinality(ids) > 0 THEN
      UPDATE usage_rolled SET kept_from = greatest(kept_from, before)
        WHERE source = 'api_key_usage';
      DELETE FROM api_key_usage WHERE id = ANY (ids) AND timestamp < before;
      gone := cardinality(ids);
    END IF;
  END IF;
  IF pg_try_advisory_xact_lock('usage_rolled'::regclass::oid::int, hashtext('a2a_usage')) THEN
    SELECT last_id INTO rolled FROM usage_rolled WHERE source = 'a2a_usage';
    ids := ARRAY(SELECT u.id FROM a2a_clients c CROSS JOIN LATERAL (
        SELECT id FROM a2a_usage WHERE client = c.number AND timestamp < before AND id <= rolled
        ORDER BY timestamp LIMIT max_rows) AS u LIMIT max_rows);
    IF cardinality(ids) > 0 THEN
      UPDATE usage_rolled SET kept_from = greatest(kept_from, before) WHERE source = 'a2a_usage';
      DELETE FROM a2a_usage WHERE id = ANY (ids) AND timestamp < before;
      gone := gone + cardinality(ids);
    END IF;
  END IF;
  PERFORM set_config('pierre.drops_usage', 'off', true);
  RETURN gone;
END $$;

-- Other programs' sessions may have another search_path.
DO $$
DECLARE
  name TEXT;
BEGIN
  FOREACH name IN ARRAY ARRAY['note_api_key_usage()', 'note_a2a_usage()', 'usage_writers(text)',
    'next_usage(text)', 'roll_up_api_key_usage(bigint)', 'roll_up_a2a_usage(bigint)'] LOOP
    EXECUTE format('ALTER FUNCTION %I.%s SET search_path = %I, pg_temp', current_schema(), name,
      current_schema());
  END LOOP;
END $$;
