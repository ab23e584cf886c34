-- Computes the generated times at a lower cost for each row written. The values are those of 0005.
-- The first branch is the form that the daemon writes; its first patterns cover most days and
-- hours, the rest of it the others. julianday() checks the digits and rounds to milliseconds, so
-- a fraction from .9995 on is left to the last branch. A BLOB is never below ':'.
-- SQLite loads a statement's constants whenever it runs, including those of unused branches, except
-- in the left operand of IN. CASE there stops at the first true condition; OR alone does not.

-- define micros
CASE
  WHEN {x} < ':' AND length(CAST({x} AS BLOB)) = 32
    AND ({x} GLOB '????-??-[01]?T[01]?:??:??.[0-8]????[0-9]+00:00'
    OR {x} GLOB '????-??-2[0-8]T[01]?:??:??.[0-8]????[0-9]+00:00'
    OR {x} GLOB '????-??-[01]?T2[0-3]:??:??.[0-8]????[0-9]+00:00'
    OR {x} GLOB '????-??-2[0-8]T2[0-3]:??:??.[0-8]????[0-9]+00:00'
    OR ({x} GLOB '????-??-[0-3]?T[0-2]?:??:??.?????[0-9]+00:00'
    AND {x} NOT GLOB '???????????2[4-9]*' AND {x} NOT GLOB '????????????????????999[5-9]*'
    AND ({x} GLOB '????????[01]*' OR {x} GLOB '????????2[0-8]*'
    OR {x} GLOB '?????[01][13-9]-[23][09]*'
    OR {x} GLOB '?????0[13578]-31*' OR {x} GLOB '?????1[02]-[23]*')))
    THEN CAST(julianday({x}) * 86400 + 0.0002 AS INTEGER) * 1000000 + substr({x}, 21, 6)
      - 210866760000000000
  WHEN CASE WHEN typeof({x}) <> 'text' OR instr(CAST({x} AS BLOB), x'00') > 0
    OR {x} NOT GLOB '????-??-??[Tt ]??:??:??*'
    OR substr({x}, 12, 2) > '23' OR date(substr({x}, 1, 10), '+0 days') IS NOT substr({x}, 1, 10)
    OR CASE substr({x}, 20, 1)
      WHEN '.' THEN length({x}) - length({offset {x}}) NOT BETWEEN 21 AND 29
        OR instr(substr({x}, 21), '.') > 0
      ELSE length({x}) - length({offset {x}}) <> 19 END
    OR NOT ({offset {x}} IN ('', 'Z', 'z') OR (substr({offset {x}}, 2, 2) < '24'
      AND ({offset {x}} GLOB '[+-][0-2][0-9]' OR {offset {x}} GLOB '[+-][0-2][0-9]:[0-5][0-9]')))
    OR ({x} < '0000-01-02' AND {offset {x}} GLOB '+*'
      AND substr({x}, 12, 5) < substr({offset {x}}, 2))
    OR ({x} >= '9999-12-31' AND {offset {x}} GLOB '-*'
      AND substr({x}, 12, 2) * 60 + substr({x}, 15, 2)
      + substr({offset {x}}, 2, 2) * 60 + substr({offset {x}}, 5, 2) >= 1440)
    THEN 1 END IN (1, 2) THEN NULL
  ELSE (strftime('%s', upper(substr({x}, 1, 19)))
    - COALESCE(strftime('%s', '1970-01-01', substr({offset {x}} || ':00', 1, 6)), 0)) * 1000000
    + CAST(CAST('0' || substr({x}, 20) AS REAL) * 1000000 + 0.0005 AS INTEGER)
  END
-- end

-- The text after seconds and their fraction.
-- define offset
ltrim(substr({x}, 20), '.0123456789')
-- end

-- A view that no longer matches its tables must not prevent a column from being recreated.
PRAGMA legacy_alter_table=ON;
DROP INDEX IF EXISTS idx_usage_key_time;
DROP INDEX IF EXISTS idx_usage_time;
DROP INDEX IF EXISTS idx_a2a_usage_client_time;
DROP INDEX IF EXISTS idx_goals_user_time;
DROP INDEX IF EXISTS idx_insights_user_time;
DROP INDEX IF EXISTS idx_api_keys_expiry;
ALTER TABLE goals DROP COLUMN created_us;
ALTER TABLE goals ADD COLUMN created_us INTEGER GENERATED ALWAYS AS ({micros created_at}) VIRTUAL;
ALTER TABLE analytics_insights DROP COLUMN created_us;
ALTER TABLE analytics_insights ADD COLUMN created_us INTEGER
  GENERATED ALWAYS AS ({micros created_at}) VIRTUAL;
ALTER TABLE api_keys DROP COLUMN created_us;
ALTER TABLE api_keys ADD COLUMN created_us INTEGER
  GENERATED ALWAYS AS ({micros created_at}) VIRTUAL;
ALTER TABLE api_keys DROP COLUMN expires_us;
ALTER TABLE api_keys ADD COLUMN expires_us INTEGER
  GENERATED ALWAYS AS ({micros expires_at}) VIRTUAL;
ALTER TABLE a2a_clients DROP COLUMN created_us;
ALTER TABLE a2a_clients ADD COLUMN created_us INTEGER
  GENERATED ALWAYS AS ({micros created_at}) VIRTUAL;
ALTER TABLE a2a_sessions DROP COLUMN expires_us;
ALTER TABLE a2a_sessions ADD COLUMN expires_us INTEGER
  GENERATED ALWAYS AS ({micros expires_at}) VIRTUAL;
ALTER TABLE api_key_usage DROP COLUMN timestamp_us;
ALTER TABLE api_key_usage ADD COLUMN timestamp_us INTEGER
  GENERATED ALWAYS AS ({micros timestamp}) VIRTUAL;
ALTER TABLE a2a_usage DROP COLUMN timestamp_us;
ALTER TABLE a2a_usage ADD COLUMN timestamp_us INTEGER
  GENERATED ALWAYS AS ({micros timestamp}) VIRTUAL;
PRAGMA legacy_alter_table=OFF;

CREATE INDEX idx_usage_key_time ON api_key_usage(api_key_id, timestamp_us);
CREATE INDEX idx_usage_time ON api_key_usage(timestamp_us);
CREATE INDEX idx_a2a_usage_client_time ON a2a_usage(client_id, timestamp_us);
CREATE INDEX idx_goals_user_time ON goals(user_id, created_us, id);
CREATE INDEX idx_insights_user_time ON analytics_insights(user_id, created_us, id);
CREATE INDEX idx_api_keys_expiry ON api_keys(expires_us) WHERE is_active = 1;
