-- OAuth tokens. The texts are sealed before they are bound.

-- name: update_strava_token
UPDATE users SET strava_access_token = :access_token, strava_refresh_token = :refresh_token, strava_expires_at = :expires_at,
  strava_scope = :scope, strava_nonce = :nonce
WHERE id = :user_id

-- name: get_strava_token
SELECT strava_access_token AS access_token, strava_refresh_token AS refresh_token, strava_expires_at AS expires_at,
  strava_scope AS scope, strava_nonce AS nonce
FROM users
WHERE id = :user_id AND strava_access_token IS NOT NULL AND strava_refresh_token IS NOT NULL
  AND strava_expires_at IS NOT NULL AND strava_scope IS NOT NULL AND strava_nonce IS NOT NULL

-- name: clear_strava_token
UPDATE users SET strava_access_token = NULL, strava_refresh_token = NULL, strava_expires_at = NULL, strava_scope = NULL,
  strava_nonce = NULL
WHERE id = :user_id

-- name: update_fitbit_token
UPDATE users SET fitbit_access_token = :access_token, fitbit_refresh_token = :refresh_token, fitbit_expires_at = :expires_at,
  fitbit_scope = :scope, fitbit_nonce = :nonce
WHERE id = :user_id

-- name: get_fitbit_token
SELECT fitbit_access_token AS access_token, fitbit_refresh_token AS refresh_token, fitbit_expires_at AS expires_at,
  fitbit_scope AS scope, fitbit_nonce AS nonce
FROM users
WHERE id = :user_id AND fitbit_access_token IS NOT NULL AND fitbit_refresh_token IS NOT NULL
  AND fitbit_expires_at IS NOT NULL AND fitbit_scope IS NOT NULL AND fitbit_nonce IS NOT NULL

-- name: clear_fitbit_token
UPDATE users SET fitbit_access_token = NULL, fitbit_refresh_token = NULL, fitbit_expires_at = NULL, fitbit_scope = NULL,
  fitbit_nonce = NULL
WHERE id = :user_id
