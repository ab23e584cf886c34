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

-- A time more than a minute from now: in the future, too, after a wrong clock.
-- define: minute_old time
{time} NOT BETWEEN :now - interval '1 minute' AND :now + interval '1 minute'

-- Mostly a read: the changes find no row then, which costs neither a lock nor a commit. A row that
-- another transaction has locked is left alone: it is probably being set to this time.
-- name: authenticate_api_key
WITH found AS MATERIALIZED (
  SELECT {ApiKey}, number FROM api_keys
  WHERE key_prefix = :prefix AND key_hash = :hash AND is_active
    AND (expires_at IS NULL OR expires_at > :now)
  ORDER BY created_at DESC, id COLLATE "C" DESC LIMIT 1),
due_key AS MATERIALIZED (
  SELECT number FROM api_keys
  WHERE number = (SELECT number FROM found)
    AND (last_used_at IS NULL OR {minute_old last_used_at})
  FOR NO KEY UPDATE SKIP LOCKED),
due_owner AS MATERIALIZED (
  SELECT id FROM users
  WHERE id = (SELECT user_id FROM found) AND {minute_old last_active}
  FOR NO KEY UPDATE SKIP LOCKED),
used AS (
  UPDATE api_keys k SET last_used_at = :now, updated_at = :now
  WHERE k.number = (SELECT number FROM due_key)
  RETURNING {ApiKey k}, k.number),
seen AS (UPDATE users u SET last_active = :now WHERE u.id = (SELECT id FROM due_owner))
SELECT {ApiKey k AS api_key}, {current_usage k.number} AS current_usage
FROM (SELECT {ApiKey}, number FROM used
  UNION ALL SELECT {ApiKey}, number FROM found
  WHERE NOT EXISTS (SELECT FROM used)) AS k

-- Pages: see goals.sql.
-- name: get_user_api_keys
WITH place AS MATERIALIZED (
  SELECT created_at, id FROM api_keys WHERE id = :after AND user_id = :user_id)
SELECT * FROM (
  SELECT {ApiKey k} FROM api_keys k WHERE :after IS NULL AND k.user_id = :user_id
  ORDER BY k.created_at DESC, k.id COLLATE "C" DESC LIMIT :limit) AS beginning
UNION ALL
SELECT * FROM (
  SELECT {ApiKey k} FROM api_keys k WHERE :after IS NOT NULL AND k.user_id = :user_id
    AND (k.created_at, k.id) < ((SELECT created_at FROM place), (SELECT id FROM place))
  ORDER BY k.created_at DESC, k.id COLLATE "C" DESC LIMIT :limit) AS rest
UNION ALL
SELECT {NULL ApiKey} WHERE :after IS NOT NULL AND NOT EXISTS (SELECT 1 FROM place)

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
