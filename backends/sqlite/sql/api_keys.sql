-- API keys. The + before is_active stops SQLite from using an index that holds nearly every key.

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
SELECT {ApiKey} FROM api_keys WHERE key_prefix = :prefix AND key_hash = :hash AND +is_active = 1
ORDER BY created_us DESC, id DESC
LIMIT 1

-- name: get_user_api_keys
SELECT {ApiKey} FROM api_keys WHERE user_id = :user_id
ORDER BY created_us DESC, id DESC

-- name: update_api_key_last_used
UPDATE api_keys SET last_used_at = :now, updated_at = :now WHERE id = :api_key_id

-- name: deactivate_api_key
UPDATE api_keys SET is_active = 0, updated_at = :now WHERE id = :api_key_id AND user_id = :user_id

-- name: cleanup_expired_api_keys
UPDATE api_keys SET is_active = 0, updated_at = :now WHERE is_active = 1
  AND expires_us < micros(:now)

-- name: get_expired_api_keys
SELECT {ApiKey} FROM api_keys WHERE is_active = 1 AND expires_us < micros(:now)
ORDER BY expires_us, id
