-- Versions of tokens, and who may refresh one.
ALTER TABLE users ADD COLUMN strava_version TEXT;
ALTER TABLE users ADD COLUMN strava_lease TEXT;
ALTER TABLE users ADD COLUMN strava_lease_expires_at TIMESTAMPTZ;
ALTER TABLE users ADD COLUMN strava_lease_version TEXT;
ALTER TABLE users ADD COLUMN fitbit_version TEXT;
ALTER TABLE users ADD COLUMN fitbit_lease TEXT;
ALTER TABLE users ADD COLUMN fitbit_lease_expires_at TIMESTAMPTZ;
ALTER TABLE users ADD COLUMN fitbit_lease_version TEXT;

-- Fails a statement that meets another state than its caller expects. The daemon knows the state.
CREATE FUNCTION unexpected(what TEXT) RETURNS BOOLEAN LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'PD002', MESSAGE = format('unexpected %s', what);
END $$;
