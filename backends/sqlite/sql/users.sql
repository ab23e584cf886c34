-- Users. A token counts as present only when all five of its columns are set.

-- columns: User u
u.id, u.email, u.display_name, u.password_hash,
-- each provider:
CASE WHEN u.{provider}_access_token IS NOT NULL AND u.{provider}_refresh_token IS NOT NULL
  AND u.{provider}_scope IS NOT NULL AND u.{provider}_nonce IS NOT NULL
  THEN u.{provider}_expires_at END AS "{provider}_token.expires_at",
u.{provider}_scope AS "{provider}_token.scope",
-- end
u.created_at, u.last_active, u.is_active

-- name: create_user
INSERT INTO users (id, email, display_name, password_hash, created_at, last_active, is_active)
VALUES (:id, :email, :display_name, :password_hash, :created_at, :last_active, :is_active)
RETURNING id AS result

-- name: get_user
SELECT {User} FROM users WHERE id = :user_id

-- name: get_user_by_email
SELECT {User} FROM users WHERE email = :email

-- name: get_user_by_email_required
SELECT {User} FROM users WHERE email = :email

-- name: verify_user_password
SELECT {User} FROM users WHERE email = :email AND is_active = 1

-- name: update_last_active
UPDATE users SET last_active = :now WHERE id = :user_id

-- name: get_user_count
SELECT count(*) AS result FROM users

-- name: get_password_costs
SELECT CAST(substr(password_hash, 5, 2) AS INTEGER) AS cost, count(*) AS users
FROM users WHERE length(password_hash) = 60 AND password_hash GLOB '$2[aby]$[0-9][0-9]$*'
  AND substr(password_hash, 5, 2) > printf('%02d', min(:above, 99))
GROUP BY substr(password_hash, 5, 2) ORDER BY substr(password_hash, 5, 2)
