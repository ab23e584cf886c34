-- Counts of usage for each day (UTC), so that statistics of a month or a year read 24 times fewer
-- rows than with those of hours.
--
-- The days before days_to hold what their hours hold. A sweep sums the days that have ended since:
-- those before days_next, for one parent after the other. It works in steps, and has summed the
-- hours before days_at of days_parent, and all of the parents before it. What changes in an hour
-- that is summed changes in its day as well, in the same transaction. 4713 BC: before any period.

ALTER TABLE usage_rolled
  ADD COLUMN days_to TIMESTAMPTZ NOT NULL DEFAULT '4713-01-01 00:00:00+00 BC',
  ADD COLUMN days_next TIMESTAMPTZ, ADD COLUMN days_parent BIGINT, ADD COLUMN days_at TIMESTAMPTZ;

CREATE TABLE api_key_usage_days (
  api_key BIGINT NOT NULL REFERENCES api_keys(number) ON DELETE CASCADE,
  day TIMESTAMPTZ NOT NULL, tool_name TEXT COLLATE "C" NOT NULL, requests BIGINT NOT NULL,
  successful BIGINT NOT NULL, failed BIGINT NOT NULL, time_ms BIGINT NOT NULL,
  timed BIGINT NOT NULL,
  CONSTRAINT api_key_usage_days_pkey PRIMARY KEY (api_key, day, tool_name));
CREATE TABLE a2a_usage_days (
  client BIGINT NOT NULL REFERENCES a2a_clients(number) ON DELETE CASCADE,
  day TIMESTAMPTZ NOT NULL, tool_name TEXT COLLATE "C" NOT NULL, requests BIGINT NOT NULL,
  successful BIGINT NOT NULL, failed BIGINT NOT NULL, time_ms BIGINT NOT NULL,
  timed BIGINT NOT NULL,
  CONSTRAINT a2a_usage_days_pkey PRIMARY KEY (client, day, tool_name));
CREATE TABLE a2a_usage_capability_days (
  client BIGINT NOT NULL REFERENCES a2a_clients(number) ON DELETE CASCADE,
  day TIMESTAMPTZ NOT NULL, capability TEXT COLLATE "C" NOT NULL, requests BIGINT NOT NULL,
  CONSTRAINT a2a_usage_capability_days_pkey PRIMARY KEY (client, day, capability));

-- The end of the days to sum. Rows of a day that has just ended are still on their way, and clocks
-- differ: a row that comes later costs a second sum.
CREATE FUNCTION usage_days_end() RETURNS TIMESTAMPTZ LANGUAGE sql STABLE AS
  $$ SELECT date_trunc('day', now() - interval '1 hour', 'UTC') $$;

-- Whether an hour of a parent is summed. state: the log's row.
CREATE FUNCTION usage_day_summed(state usage_rolled, parent BIGINT, hour TIMESTAMPTZ)
RETURNS BOOLEAN LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN hour < state.days_to OR (state.days_next IS NOT NULL AND hour < state.days_next
    AND (parent, hour) < (state.days_parent, state.days_at));
END $$;

-- One step of a log's sweep, which stores about max_rows rows. The result: a number that changes
-- with each step, as does what is left; 0: no day is left.
CREATE FUNCTION sum_api_key_usage_days(max_rows BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
  state usage_rolled;
  first TIMESTAMPTZ;
  added BIGINT;
  stored BIGINT := 0;
BEGIN
  SELECT * INTO state FROM usage_rolled WHERE source = 'api_key_usage';
  IF state.days_next IS NULL THEN
    IF state.days_to >= usage_days_end() THEN
      RETURN 0;
    END IF;
    state.days_next := usage_days_end();
    state.days_parent := -9223372036854775808;
    state.days_at := state.days_to;
  END IF;
  FOR look IN 1..512 LOOP
    EXIT WHEN stored >= max_rows OR state.days_next IS NULL;
    SELECT date_trunc('day', h.hour, 'UTC') INTO first FROM api_key_usage_hours h
    WHERE h.api_key = state.days_parent AND h.hour >= state.days_at AND h.hour < state.days_next
    ORDER BY h.hour LIMIT 1;
    IF FOUND THEN
      state.days_at := first + interval '24 hours';
      INSERT INTO api_key_usage_days (api_key, day, tool_name, requests, successful, failed,
        time_ms, timed)
      SELECT h.api_key, first, h.tool_name, sum(h.requests), sum(h.successful), sum(h.failed),
        sum(h.time_ms), sum(h.timed)
      FROM api_key_usage_hours h WHERE h.api_key = state.days_parent AND h.hour >= first
        AND h.hour < state.days_at GROUP BY h.api_key, h.tool_name;
      GET DIAGNOSTICS added = ROW_COUNT;
      stored := stored + added;
    ELSE
      SELECT h.api_key INTO state.days_parent FROM api_key_usage_hours h
      WHERE h.api_key > state.days_parent ORDER BY h.api_key LIMIT 1;
      state.days_at := state.days_to;
      IF state.days_parent IS NULL THEN
        state.days_to := state.days_next;
        state.days_next := NULL;
      END IF;
    END IF;
  END LOOP;
  UPDATE usage_rolled SET days_to = state.days_to, days_next = state.days_next,
    days_parent = state.days_parent, days_at = state.days_at WHERE source = 'api_key_usage';
  RETURN CASE WHEN state.days_next IS NULL THEN 0
    ELSE 1 + COALESCE((SELECT max(api_key) FROM api_key_usage_hours), 0)
      - greatest(state.days_parent, 0) + extract(day FROM state.days_next - state.days_at) END;
END $$;

CREATE FUNCTION sum_a2a_usage_days(max_rows BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
  state usage_rolled;
  first TIMESTAMPTZ;
  added BIGINT;
  stored BIGINT := 0;
BEGIN
  SELECT * INTO state FROM usage_rolled WHERE source = 'a2a_usage';
  IF state.days_next IS NULL THEN
    IF state.days_to >= usage_days_end() THEN
      RETURN 0;
    END IF;
    state.days_next := usage_days_end();
    state.days_parent := -9223372036854775808;
    state.days_at := state.days_to;
  END IF;
  FOR look IN 1..512 LOOP
    EXIT WHEN stored >= max_rows OR state.days_next IS NULL;
    SELECT date_trunc('day', h.hour, 'UTC') INTO first FROM a2a_usage_hours h
    WHERE h.client = state.days_parent AND h.hour >= state.days_at AND h.hour < state.days_next
    ORDER BY h.hour LIMIT 1;
    IF FOUND THEN
      state.days_at := first + interval '24 hours';
      INSERT INTO a2a_usage_days (client, day, tool_name, requests, successful, failed,
        time_ms, timed)
      SELECT h.client, first, h.tool_name, sum(h.requests), sum(h.successful), sum(h.failed),
        sum(h.time_ms), sum(h.timed)
      FROM a2a_usage_hours h WHERE h.client = state.days_parent AND h.hour >= first
        AND h.hour < state.days_at GROUP BY h.client, h.tool_name;
      GET DIAGNOSTICS added = ROW_COUNT;
      stored := stored + added;
      INSERT INTO a2a_usage_capability_days (client, day, capability, requests)
      SELECT h.client, first, h.capability, sum(h.requests)
      FROM a2a_usage_capabilities h WHERE h.client = state.days_parent AND h.hour >= first
        AND h.hour < state.days_at GROUP BY h.client, h.capability;
      GET DIAGNOSTICS added = ROW_COUNT;
      stored := stored + added;
    ELSE
      SELECT h.client INTO state.days_parent FROM a2a_usage_hours h
      WHERE h.client > state.days_parent ORDER BY h.client LIMIT 1;
      state.days_at := state.days_to;
      IF state.days_parent IS NULL THEN
        state.days_to := state.days_next;
        state.days_next := NULL;
      END IF;
    END IF;
  END LOOP;
  UPDATE usage_rolled SET days_to = state.days_to, days_next = state.days_next,
    days_parent = state.days_parent, days_at = state.days_at WHERE source = 'a2a_usage';
  RETURN CASE WHEN state.days_next IS NULL THEN 0
    ELSE 1 + COALESCE((SELECT max(client) FROM a2a_usage_hours), 0)
      - greatest(state.days_parent, 0) + extract(day FROM state.days_next - state.days_at) END;
END $$;

-- As before, and with the days.
CREATE OR REPLACE FUNCTION roll_up_api_key_usage(max_rows BIGINT) RETURNS BIGINT
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  step RECORD;
  last BIGINT;
  state usage_rolled;
  days BIGINT := 0;
BEGIN
  SELECT * INTO step FROM next_usage('api_key_usage');
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  SELECT * INTO state FROM usage_rolled WHERE source = 'api_key_usage';
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
    days AS (
      INSERT INTO api_key_usage_days AS d (api_key, day, tool_name, requests, successful, failed,
        time_ms, timed)
      SELECT api_key, date_trunc('day', hour, 'UTC'), tool_name, sum(requests),
        COALESCE(sum(successful), 0), COALESCE(sum(failed), 0), COALESCE(sum(time_ms), 0),
        COALESCE(sum(timed), 0)
      FROM parts WHERE hour < COALESCE(state.days_next, state.days_to)
        AND usage_day_summed(state, api_key, hour) GROUP BY 1, 2, 3
      ON CONFLICT (api_key, day, tool_name) DO UPDATE SET
        requests = d.requests + excluded.requests,
        successful = d.successful + excluded.successful, failed = d.failed + excluded.failed,
        time_ms = d.time_ms + excluded.time_ms, timed = d.timed + excluded.timed),
    months AS (
      INSERT INTO api_key_usage_months AS m (api_key, month, requests)
      SELECT api_key, date_trunc('month', hour, 'UTC'), sum(requests) FROM parts GROUP BY 1, 2
      ON CONFLICT (api_key, month) DO UPDATE SET requests = m.requests + excluded.requests)
    UPDATE usage_rolled SET last_id = last WHERE source = 'api_key_usage';
  END IF;
  -- Days are summed when the rows are: one that comes later costs a second sum.
  IF last = step.through THEN
    days := sum_api_key_usage_days(512);
  END IF;
  RETURN step.newest - last + days
    + (SELECT count(*) FROM (SELECT 1 FROM api_key_usage_changes LIMIT max_rows) AS waiting);
END $$;

CREATE OR REPLACE FUNCTION roll_up_a2a_usage(max_rows BIGINT) RETURNS BIGINT
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  step RECORD;
  last BIGINT;
  state usage_rolled;
  days BIGINT := 0;
BEGIN
  SELECT * INTO step FROM next_usage('a2a_usage');
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  SELECT * INTO state FROM usage_rolled WHERE source = 'a2a_usage';
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
    days AS (
      INSERT INTO a2a_usage_days AS d (client, day, tool_name, requests, successful, failed,
        time_ms, timed)
      SELECT client, date_trunc('day', hour, 'UTC'), tool_name, sum(requests),
        COALESCE(sum(successful), 0), COALESCE(sum(failed), 0), COALESCE(sum(time_ms), 0),
        COALESCE(sum(timed), 0)
      FROM parts WHERE hour < COALESCE(state.days_next, state.days_to)
        AND usage_day_summed(state, client, hour) GROUP BY 1, 2, 3
      ON CONFLICT (client, day, tool_name) DO UPDATE SET
        requests = d.requests + excluded.requests,
        successful = d.successful + excluded.successful, failed = d.failed + excluded.failed,
        time_ms = d.time_ms + excluded.time_ms, timed = d.timed + excluded.timed),
    claimed AS MATERIALIZED (
      SELECT s.client, s.hour, e.capability, sum(s.sign) AS requests
      FROM single s, LATERAL (SELECT DISTINCT capability
        FROM unnest(s.client_capabilities) AS u(capability)) AS e
      WHERE NOT s.odd GROUP BY 1, 2, 3),
    capabilities AS (
      INSERT INTO a2a_usage_capabilities AS h (client, hour, capability, requests)
      SELECT client, hour, capability, requests FROM claimed
      ON CONFLICT (client, hour, capability) DO UPDATE SET
        requests = h.requests + excluded.requests),
    capability_days AS (
      INSERT INTO a2a_usage_capability_days AS d (client, day, capability, requests)
      SELECT client, date_trunc('day', hour, 'UTC'), capability, sum(requests) FROM claimed
      WHERE hour < COALESCE(state.days_next, state.days_to)
        AND usage_day_summed(state, client, hour) GROUP BY 1, 2, 3
      ON CONFLICT (client, day, capability) DO UPDATE SET
        requests = d.requests + excluded.requests),
    months AS (
      INSERT INTO a2a_usage_months AS m (client, month, requests)
      SELECT client, date_trunc('month', hour, 'UTC'), sum(requests) FROM parts GROUP BY 1, 2
      ON CONFLICT (client, month) DO UPDATE SET requests = m.requests + excluded.requests)
    UPDATE usage_rolled SET last_id = last WHERE source = 'a2a_usage';
  END IF;
  -- Days are summed when the rows are: one that comes later costs a second sum.
  IF last = step.through THEN
    days := sum_a2a_usage_days(512);
  END IF;
  RETURN step.newest - last + days
    + (SELECT count(*) FROM (SELECT 1 FROM a2a_usage_changes LIMIT max_rows) AS waiting);
END $$;

-- Other programs' sessions may have another search_path.
DO $$
DECLARE
  name TEXT;
BEGIN
  FOREACH name IN ARRAY ARRAY['usage_days_end()',
    'usage_day_summed(usage_rolled, bigint, timestamptz)', 'sum_api_key_usage_days(bigint)',
    'sum_a2a_usage_days(bigint)', 'roll_up_api_key_usage(bigint)', 'roll_up_a2a_usage(bigint)'] LOOP
    EXECUTE format('ALTER FUNCTION %I.%s SET search_path = %I, pg_temp', current_schema(), name,
      current_schema());
  END LOOP;
END $$;
