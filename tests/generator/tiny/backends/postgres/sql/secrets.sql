-- name: put_token
UPDATE tokens SET access_token = :access_token, refresh_token = :refresh_token, nonce = :nonce
WHERE user_id = :user_id

-- name: get_token
SELECT access_token, refresh_token, nonce FROM tokens WHERE user_id = :user_id

-- name: create_account
INSERT INTO accounts (password_hash) VALUES (:password_hash) RETURNING id AS result

-- name: verify_account
SELECT id, password_hash FROM accounts WHERE id = :id
