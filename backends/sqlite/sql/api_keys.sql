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

-- The key that a prefix and a hash name, if it may be used.
-- define: usable_key
(SELECT id FROM api_keys WHERE key_prefix = :prefix AND key_hash = :hash AND +is_active = 1
  AND (expires_at IS NULL OR expires_us IS NULL OR expires_us > micros(:now))
ORDER BY created_us DESC, id DESC LIMIT 1)

-- A time more than a minute from now: in the future, too, after a wrong clock.
-- define: minute_old time
(micros({time}) IS NULL
  OR micros({time}) NOT BETWEEN micros(:now) - 60000000 AND micros(:now) + 60000000)

-- fast: authenticate_api_key
SELECT {ApiKey k AS api_key}, {current_usage k.id} AS current_usage
FROM api_keys k JOIN users u ON u.id = k.user_id
WHERE k.id = {usable_key} AND NOT {minute_old k.last_used_at} AND NOT {minute_old u.last_active}

-- step: authenticate_api_key
UPDATE api_keys SET last_used_at = :now, updated_at = :now
WHERE id = {usable_key} AND {minute_old last_used_at}

-- step: authenticate_api_key
UPDATE users SET last_active = :now
WHERE id = (SELECT user_id FROM api_keys WHERE id = {usable_key}) AND {minute_old last_active}

-- name: authenticate_api_key
SELECT {ApiKey k AS api_key}, {current_usage k.id} AS current_usage
FROM api_keys k WHERE k.id = {usable_key}

-- Pages: see goals.sql.
-- name: get_user_api_keys
WITH place AS (SELECT created_us, id FROM api_keys WHERE id = :after AND user_id = :user_id)
SELECT * FROM (
  SELECT {ApiKey k} FROM api_keys k WHERE :after IS NULL AND k.user_id = :user_id
  ORDER BY k.created_us DESC, k.id DESC LIMIT COALESCE(:limit, -1))
UNION ALL
SELECT * FROM (
  SELECT {ApiKey k} FROM api_keys k WHERE k.user_id = :user_id
    AND (k.created_us, k.id) < ((SELECT created_us FROM place), (SELECT id FROM place))
  ORDER BY k.created_us DESC, k.id DESC LIMIT COALESCE(:limit, -1))
UNION ALL
SELECT {ApiKey k} FROM api_keys k
WHERE :after IS NOT NULL AND k.user_id = :user_id AND k.created_us IS NULL
UNION ALL
SELECT {NULL ApiKey} WHERE :after IS NOT NULL AND NOT EXISTS (SELECT 1 FROM place)

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
