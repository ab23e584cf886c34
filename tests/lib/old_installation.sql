-- The schema of an installation that the old server made: what the daemon opens, upgrades and
-- leaves readable.

CREATE TABLE users (
  id TEXT PRIMARY KEY, email TEXT UNIQUE NOT NULL, display_name TEXT,
  password_hash TEXT NOT NULL, strava_access_token TEXT, strava_refresh_token TEXT,
  strava_expires_at TEXT, strava_scope TEXT, strava_nonce TEXT, fitbit_access_token TEXT,
  fitbit_refresh_token TEXT, fitbit_expires_at TEXT, fitbit_scope TEXT, fitbit_nonce TEXT,
  created_at TEXT NOT NULL, last_active TEXT NOT NULL, is_active BOOLEAN NOT NULL DEFAULT 1
);
CREATE INDEX idx_users_email ON users (email);

CREATE TABLE user_profiles (
  user_id TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE, age INTEGER, gender TEXT,
  weight_kg REAL, height_cm REAL, fitness_level TEXT NOT NULL DEFAULT 'beginner',
  primary_sports TEXT, training_history_months INTEGER DEFAULT 0,
  preferred_units TEXT DEFAULT 'metric', training_focus TEXT, injury_history TEXT,
  hours_per_week REAL DEFAULT 0, preferred_days TEXT, preferred_duration_minutes INTEGER,
  extra_data TEXT DEFAULT '{}', created_at TEXT NOT NULL, updated_at TEXT NOT NULL
);

CREATE TABLE goals (
  id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  title TEXT NOT NULL, description TEXT, goal_type TEXT NOT NULL, sport_type TEXT,
  target_value REAL NOT NULL, target_date TEXT NOT NULL, current_value REAL DEFAULT 0,
  status TEXT NOT NULL DEFAULT 'active', created_at TEXT NOT NULL, updated_at TEXT NOT NULL
);
CREATE INDEX idx_goals_user_id ON goals (user_id);

CREATE TABLE goal_milestones (
  id TEXT PRIMARY KEY, goal_id TEXT NOT NULL REFERENCES goals (id) ON DELETE CASCADE,
  name TEXT NOT NULL, target_value REAL NOT NULL, achieved BOOLEAN DEFAULT 0,
  achieved_date TEXT, created_at TEXT NOT NULL
);
CREATE INDEX idx_goal_milestones_goal_id ON goal_milestones (goal_id);

CREATE TABLE analytics_insights (
  id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  activity_id TEXT, insight_type TEXT NOT NULL, title TEXT NOT NULL, description TEXT NOT NULL,
  confidence REAL NOT NULL, severity TEXT NOT NULL, metadata TEXT, created_at TEXT NOT NULL
);
CREATE INDEX idx_analytics_insights_user_id ON analytics_insights (user_id);

CREATE TABLE api_keys (
  id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE, name TEXT NOT NULL,
  key_prefix TEXT NOT NULL, key_hash TEXT NOT NULL, description TEXT,
  tier TEXT NOT NULL DEFAULT 'starter' CHECK (tier IN ('starter', 'professional', 'enterprise')),
  rate_limit_requests INTEGER NOT NULL DEFAULT 10000,
  rate_limit_window INTEGER NOT NULL DEFAULT 2592000, is_active BOOLEAN NOT NULL DEFAULT true,
  last_used_at TIMESTAMP, expires_at TIMESTAMP,
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, UNIQUE (user_id, name)
);
CREATE INDEX idx_api_keys_prefix ON api_keys (key_prefix);
CREATE INDEX idx_api_keys_user_id ON api_keys (user_id);
CREATE INDEX idx_api_keys_active ON api_keys (is_active);

CREATE TABLE api_key_usage (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  api_key_id TEXT NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
  timestamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, tool_name TEXT NOT NULL,
  response_time_ms INTEGER, status_code INTEGER NOT NULL, error_message TEXT,
  request_size_bytes INTEGER, response_size_bytes INTEGER, ip_address TEXT, user_agent TEXT
);
CREATE INDEX idx_usage_api_key_id ON api_key_usage (api_key_id);
CREATE INDEX idx_usage_timestamp ON api_key_usage (timestamp);
CREATE INDEX idx_usage_tool_name ON api_key_usage (tool_name);

CREATE TABLE api_key_usage_stats (
  api_key_id TEXT NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
  period_start TIMESTAMP NOT NULL, period_end TIMESTAMP NOT NULL,
  total_requests INTEGER NOT NULL DEFAULT 0,
  successful_requests INTEGER NOT NULL DEFAULT 0, failed_requests INTEGER NOT NULL DEFAULT 0,
  total_response_time_ms INTEGER NOT NULL DEFAULT 0, tool_usage TEXT NOT NULL DEFAULT '{}',
  PRIMARY KEY (api_key_id, period_start)
);

CREATE TABLE api_key_rate_limits (
  api_key_id TEXT PRIMARY KEY REFERENCES api_keys (id) ON DELETE CASCADE,
  window_start TIMESTAMP NOT NULL, request_count INTEGER NOT NULL DEFAULT 0,
  is_rate_limited BOOLEAN NOT NULL DEFAULT false, rate_limit_reset_at TIMESTAMP,
  updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE a2a_clients (
  id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
  api_key_id TEXT NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
  name TEXT NOT NULL UNIQUE, description TEXT, public_key TEXT,
  capabilities TEXT NOT NULL DEFAULT '[]', redirect_uris TEXT NOT NULL DEFAULT '[]',
  agent_version TEXT, contact_email TEXT, documentation_url TEXT,
  is_verified BOOLEAN NOT NULL DEFAULT false, verification_token TEXT, verified_at TIMESTAMP,
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX idx_a2a_clients_api_key_id ON a2a_clients (api_key_id);
CREATE INDEX idx_a2a_clients_verified ON a2a_clients (is_verified);

CREATE TABLE a2a_sessions (
  id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
  client_id TEXT NOT NULL REFERENCES a2a_clients (id) ON DELETE CASCADE,
  session_token TEXT NOT NULL UNIQUE, user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
  granted_scopes TEXT NOT NULL DEFAULT '[]', ip_address TEXT, user_agent TEXT,
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, expires_at TIMESTAMP NOT NULL,
  last_activity TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  is_active BOOLEAN NOT NULL DEFAULT true
);
CREATE INDEX idx_a2a_sessions_client_id ON a2a_sessions (client_id);
CREATE INDEX idx_a2a_sessions_active ON a2a_sessions (is_active);
CREATE INDEX idx_a2a_sessions_expires ON a2a_sessions (expires_at);

CREATE TABLE a2a_tasks (
  id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
  client_id TEXT NOT NULL REFERENCES a2a_clients (id) ON DELETE CASCADE,
  session_id TEXT REFERENCES a2a_sessions (id) ON DELETE SET NULL, task_type TEXT NOT NULL,
  input_data TEXT,
  status TEXT NOT NULL DEFAULT 'pending'
    CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
  progress_percentage INTEGER DEFAULT 0, result_data TEXT, error_message TEXT,
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, started_at TIMESTAMP,
  completed_at TIMESTAMP, estimated_duration_seconds INTEGER, priority INTEGER DEFAULT 0
);
CREATE INDEX idx_a2a_tasks_client_id ON a2a_tasks (client_id);
CREATE INDEX idx_a2a_tasks_status ON a2a_tasks (status);
CREATE INDEX idx_a2a_tasks_created ON a2a_tasks (created_at);

CREATE TABLE a2a_usage (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  client_id TEXT NOT NULL REFERENCES a2a_clients (id) ON DELETE CASCADE,
  session_token TEXT REFERENCES a2a_sessions (session_token) ON DELETE SET NULL,
  timestamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, tool_name TEXT NOT NULL,
  response_time_ms INTEGER, status_code INTEGER NOT NULL, error_message TEXT,
  request_size_bytes INTEGER, response_size_bytes INTEGER, ip_address TEXT, user_agent TEXT,
  protocol_version TEXT DEFAULT '1.0', client_capabilities TEXT, granted_scopes TEXT
);
CREATE INDEX idx_a2a_usage_client_id ON a2a_usage (client_id);
CREATE INDEX idx_a2a_usage_session_token ON a2a_usage (session_token);
CREATE INDEX idx_a2a_usage_timestamp ON a2a_usage (timestamp);
CREATE INDEX idx_a2a_usage_tool_name ON a2a_usage (tool_name);
