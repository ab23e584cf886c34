-- OAuth tokens. The texts are sealed before they are bound.

-- name: update_{provider}_token
UPDATE users SET {provider}_access_token = :access_token, {provider}_refresh_token = :refresh_token,
  {provider}_expires_at = :expires_at, {provider}_scope = :scope, {provider}_nonce = :nonce
WHERE id = :user_id

-- name: get_{provider}_token
SELECT {provider}_access_token AS access_token, {provider}_refresh_token AS refresh_token,
  {provider}_expires_at AS expires_at, {provider}_scope AS scope, {provider}_nonce AS nonce
FROM users
WHERE id = :user_id AND {provider}_access_token IS NOT NULL AND {provider}_refresh_token IS NOT NULL
  AND {provider}_expires_at IS NOT NULL AND {provider}_scope IS NOT NULL
    AND {provider}_nonce IS NOT NULL

-- name: clear_{provider}_token
UPDATE users SET {provider}_access_token = NULL, {provider}_refresh_token = NULL,
  {provider}_expires_at = NULL, {provider}_scope = NULL, {provider}_nonce = NULL
WHERE id = :user_id
