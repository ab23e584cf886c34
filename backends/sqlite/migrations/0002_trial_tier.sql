-- The tier `trial`, which the old CHECK refuses. SQLite can change a CHECK only by making the table again; the rows keep
-- their rowids, and the tables that refer to it go on doing so by its name (foreign keys are off while this runs and checked at its end).

CREATE TABLE api_keys_new (
  id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))), user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  name TEXT NOT NULL, key_prefix TEXT NOT NULL, key_hash TEXT NOT NULL, description TEXT,
  tier TEXT NOT NULL DEFAULT 'starter' CHECK (tier IN ('trial', 'starter', 'professional', 'enterprise')),
  rate_limit_requests INTEGER NOT NULL DEFAULT 10000, rate_limit_window INTEGER NOT NULL DEFAULT 2592000,
  is_active BOOLEAN NOT NULL DEFAULT true, last_used_at TIMESTAMP, expires_at TIMESTAMP,
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  UNIQUE (user_id, name));

INSERT INTO api_keys_new (rowid, id, user_id, name, key_prefix, key_hash, description, tier, rate_limit_requests,
  rate_limit_window, is_active, last_used_at, expires_at, created_at, updated_at)
SELECT rowid, id, user_id, name, key_prefix, key_hash, description, tier, rate_limit_requests,
  rate_limit_window, is_active, last_used_at, expires_at, created_at, updated_at
FROM api_keys;

DROP TABLE api_keys;
ALTER TABLE api_keys_new RENAME TO api_keys;

CREATE INDEX idx_api_keys_prefix ON api_keys(key_prefix);
CREATE INDEX idx_api_keys_user_id ON api_keys(user_id);
CREATE INDEX idx_api_keys_active ON api_keys(is_active);
