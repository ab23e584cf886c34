-- API keys.

-- columns: ApiKey k
k.id, k.user_id, k.name, k.key_prefix, k.key_hash, k.description, k.tier, k.rate_limit_requests,
k.rate_limit_window, k.is_active, k.last_used_at, k.expires_at, k.created_at, k.updated_at

-- name: create_api_key
INSERT INTO api_keys (id, user_id, name, key_prefix, key_hash, description, tier,
  rate_limit_requests, rate_limit_window, is_active, last_used_at, expires_at, created_at,
  updated_at)
VALUES (:id, :user_id, :name, :key_prefix, :key_hash, :description, :tier, :rate_limit_requests,
  :rate_limit_window, :is_active, :last_used_at, :expires_at, :created_at, :updated_at)

-- name: get_api_key_by_prefix
SELECT {ApiKey} FROM api_keys WHERE key_prefix = :prefix
  AND key_hash = :hash AND is_active
ORDER BY created_at DESC, id COLLATE "C" DESC
LIMIT 1

-- name: get_user_api_keys
SELECT {ApiKey} FROM api_keys WHERE user_id = :user_id
ORDER BY created_at DESC, id COLLATE "C" DESC

-- name: update_api_key_last_used
UPDATE api_keys SET last_used_at = :now, updated_at = :now WHERE id = :api_key_id

-- name: deactivate_api_key
UPDATE api_keys SET is_active = false, updated_at = :now
WHERE id = :api_key_id AND user_id = :user_id

-- Locks the rows in the same order as all other statements.
-- name: cleanup_expired_api_keys
WITH due AS MATERIALIZED (
  SELECT number FROM api_keys WHERE is_active AND expires_at < :now
    ORDER BY id COLLATE "C" FOR NO KEY UPDATE)
UPDATE api_keys SET is_active = false, updated_at = :now WHERE number IN (SELECT number FROM due)

-- name: get_expired_api_keys
SELECT {ApiKey} FROM api_keys WHERE is_active AND expires_at < :now
ORDER BY expires_at, id COLLATE "C"
