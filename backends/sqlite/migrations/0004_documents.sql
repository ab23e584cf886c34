-- Profiles, goals and insights keep the whole document; a client can be inactive; the daemon's own
-- facts.

ALTER TABLE user_profiles ADD COLUMN document TEXT;
ALTER TABLE user_profiles ADD COLUMN document_updated_at TEXT;
ALTER TABLE goals ADD COLUMN document TEXT;
ALTER TABLE analytics_insights ADD COLUMN document TEXT;
ALTER TABLE a2a_clients ADD COLUMN is_active BOOLEAN NOT NULL DEFAULT 1;
CREATE TABLE pierre_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
