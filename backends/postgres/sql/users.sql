-- Users. A token counts as present only when all five of its columns are there.

-- name: create_user
INSERT INTO users (id, email, display_name, password_hash, created_at, last_active, is_active)
VALUES (:id, :email, :display_name, :password_hash, :created_at, :last_active, :is_active)
RETURNING id AS result

-- name: get_user
SELECT id, email, display_name, password_hash,
  CASE WHEN strava_access_token IS NOT NULL AND strava_refresh_token IS NOT NULL AND strava_scope IS NOT NULL
    AND strava_nonce IS NOT NULL THEN strava_expires_at END AS "strava_token.expires_at",
  strava_scope AS "strava_token.scope",
  CASE WHEN fitbit_access_token IS NOT NULL AND fitbit_refresh_token IS NOT NULL AND fitbit_scope IS NOT NULL
    AND fitbit_nonce IS NOT NULL THEN fitbit_expires_at END AS "fitbit_token.expires_at",
  fitbit_scope AS "fitbit_token.scope",
  created_at, last_active, is_active
FROM users WHERE id = :user_id

-- name: get_user_by_email
SELECT id, email, display_name, password_hash,
  CASE WHEN strava_access_token IS NOT NULL AND strava_refresh_token IS NOT NULL AND strava_scope IS NOT NULL
    AND strava_nonce IS NOT NULL THEN strava_expires_at END AS "strava_token.expires_at",
  strava_scope AS "strava_token.scope",
  CASE WHEN fitbit_access_token IS NOT NULL AND fitbit_refresh_token IS NOT NULL AND fitbit_scope IS NOT NULL
    AND fitbit_nonce IS NOT NULL THEN fitbit_expires_at END AS "fitbit_token.expires_at",
  fitbit_scope AS "fitbit_token.scope",
  created_at, last_active, is_active
FROM users WHERE md5(email) = md5(:email) AND email = :email

-- name: get_user_by_email_required
SELECT id, email, display_name, password_hash,
  CASE WHEN strava_access_token IS NOT NULL AND strava_refresh_token IS NOT NULL AND strava_scope IS NOT NULL
    AND strava_nonce IS NOT NULL THEN strava_expires_at END AS "strava_token.expires_at",
  strava_scope AS "strava_token.scope",
  CASE WHEN fitbit_access_token IS NOT NULL AND fitbit_refresh_token IS NOT NULL AND fitbit_scope IS NOT NULL
    AND fitbit_nonce IS NOT NULL THEN fitbit_expires_at END AS "fitbit_token.expires_at",
  fitbit_scope AS "fitbit_token.scope",
  created_at, last_active, is_active
FROM users WHERE md5(email) = md5(:email) AND email = :email

-- name: verify_user_password
SELECT id, email, display_name, password_hash,
  CASE WHEN strava_access_token IS NOT NULL AND strava_refresh_token IS NOT NULL AND strava_scope IS NOT NULL
    AND strava_nonce IS NOT NULL THEN strava_expires_at END AS "strava_token.expires_at",
  strava_scope AS "strava_token.scope",
  CASE WHEN fitbit_access_token IS NOT NULL AND fitbit_refresh_token IS NOT NULL AND fitbit_scope IS NOT NULL
    AND fitbit_nonce IS NOT NULL THEN fitbit_expires_at END AS "fitbit_token.expires_at",
  fitbit_scope AS "fitbit_token.scope",
  created_at, last_active, is_active
FROM users WHERE md5(email) = md5(:email) AND email = :email AND is_active

-- name: update_last_active
UPDATE users SET last_active = :now WHERE id = :user_id

-- name: get_user_count
SELECT count(*) AS result FROM users

-- name: get_password_costs
SELECT CAST(substr(password_hash, 5, 2) AS bigint) AS cost, count(*) AS users
FROM users WHERE length(password_hash) = 60 AND password_hash ~ '^[$]2[aby][$][0-9][0-9][$]'
GROUP BY 1 ORDER BY 1
