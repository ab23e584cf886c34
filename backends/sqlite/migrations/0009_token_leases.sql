-- Versions of tokens, and who may refresh one. The daemon alone reads and writes these columns.
ALTER TABLE users ADD COLUMN strava_version TEXT;
ALTER TABLE users ADD COLUMN strava_lease TEXT;
ALTER TABLE users ADD COLUMN strava_lease_expires_at TEXT;
ALTER TABLE users ADD COLUMN strava_lease_version TEXT;
ALTER TABLE users ADD COLUMN fitbit_version TEXT;
ALTER TABLE users ADD COLUMN fitbit_lease TEXT;
ALTER TABLE users ADD COLUMN fitbit_lease_expires_at TEXT;
ALTER TABLE users ADD COLUMN fitbit_lease_version TEXT;
