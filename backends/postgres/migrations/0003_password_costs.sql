-- The daemon asks for the costs of password hashes when it starts, and again while passwords are
-- checked. This index finds the high ones without reading all users.
CREATE INDEX users_password_cost ON users ((substr(password_hash, 5, 2)) COLLATE "C")
  WHERE length(password_hash) = 60 AND password_hash ~ '^[$]2[aby][$][0-9][0-9][$]';
