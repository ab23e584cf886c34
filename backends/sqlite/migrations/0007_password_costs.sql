-- The daemon asks for the costs of password hashes when it starts, and again while passwords are
-- checked. This index answers without reading all users.
CREATE INDEX IF NOT EXISTS idx_users_password_cost ON users (substr(password_hash, 5, 2))
  WHERE length(password_hash) = 60 AND password_hash GLOB '$2[aby]$[0-9][0-9]$*';
