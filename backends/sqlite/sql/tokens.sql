-- OAuth tokens. The texts are sealed before they are bound.
--
-- A token's version is its nonce, which is new with every write of the token, also with one by the
-- old server. A change of the key keeps the version: it notes in {provider}_version the new nonce,
-- a colon and the version. A note with another nonce is out of date.

-- define: token_version p
CASE WHEN substr({p}_version, 1, 32) = {p}_nonce
  THEN substr({p}_version, 34) ELSE {p}_nonce END

-- unexpected() fails the statement: the call is a conflict. Without OR, which would hide the row's
-- key from the order of locks.
-- define: version_fits p
CASE WHEN :if_version IS NULL THEN 1 WHEN :if_version = {token_version {p}} THEN 1
  ELSE unexpected('version') END

-- define: token_whole p
{p}_access_token IS NOT NULL AND {p}_refresh_token IS NOT NULL
  AND {p}_expires_at IS NOT NULL AND {p}_scope IS NOT NULL
  AND {p}_nonce IS NOT NULL

-- A lease is held for one version of the token. So any write of the token ends it.
-- define: lease_granted p
:provider = '{p}' AND ({p}_lease IS NULL
  OR COALESCE(micros({p}_lease_expires_at), 0) <= micros(:now)
  OR COALESCE({p}_lease_version, '') <> COALESCE({token_version {p}}, ''))

-- A column of the provider that is asked for; leased_whole: NULL unless a whole token is stored.
-- define: leased column
CASE :provider
-- each provider:
  WHEN '{provider}' THEN {provider}_{column}
-- end
END

-- define: leased_whole column
CASE :provider
-- each provider:
  WHEN '{provider}' THEN CASE WHEN {token_whole {provider}} THEN {provider}_{column} END
-- end
END

-- name: update_{provider}_token
UPDATE users SET {provider}_access_token = :access_token, {provider}_refresh_token = :refresh_token,
  {provider}_expires_at = :expires_at, {provider}_scope = :scope, {provider}_nonce = :nonce,
  {provider}_lease = NULL
WHERE id = :user_id AND {version_fits {provider}}

-- name: get_{provider}_token
SELECT {provider}_access_token AS access_token, {provider}_refresh_token AS refresh_token,
  {provider}_expires_at AS expires_at, {provider}_scope AS scope,
  {token_version {provider}} AS version, {provider}_nonce AS nonce
FROM users
WHERE id = :user_id AND {token_whole {provider}}

-- name: clear_{provider}_token
UPDATE users SET {provider}_access_token = NULL, {provider}_refresh_token = NULL,
  {provider}_expires_at = NULL, {provider}_scope = NULL, {provider}_nonce = NULL,
  {provider}_lease = NULL
WHERE id = :user_id AND {version_fits {provider}}

-- name: lease_token_refresh
UPDATE users SET
  -- each provider, with commas:
  {provider}_lease = CASE WHEN {lease_granted {provider}} THEN :new_token ELSE {provider}_lease END,
  {provider}_lease_expires_at = CASE WHEN {lease_granted {provider}} THEN :lease_end
    ELSE {provider}_lease_expires_at END,
  {provider}_lease_version = CASE WHEN {lease_granted {provider}} THEN {token_version {provider}}
    ELSE {provider}_lease_version END
  -- end
WHERE id = :user_id
RETURNING
  CASE :provider
  -- each provider:
    WHEN '{provider}' THEN {provider}_lease = :new_token
  -- end
  END AS granted,
  CASE :new_token
  -- each provider:
    WHEN {provider}_lease THEN :new_token
  -- end
  END AS lease,
  {leased lease_expires_at} AS expires_at,
  {leased_whole access_token} AS "token.access_token",
  {leased refresh_token} AS "token.refresh_token",
  {leased expires_at} AS "token.expires_at",
  {leased scope} AS "token.scope",
  CASE :provider
  -- each provider:
    WHEN '{provider}' THEN {token_version {provider}}
  -- end
  END AS "token.version",
  {leased_whole nonce} AS "token.nonce"
