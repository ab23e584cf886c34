-- name: put_token
UPDATE tokens SET first = :first, second = :second, nonce = :nonce WHERE id = :id

-- name: get_token
SELECT first, second, nonce FROM tokens WHERE id = :id

-- name: create_account
INSERT INTO accounts (password_hash) VALUES (:password_hash) RETURNING id AS result

-- name: verify_account
SELECT id, password_hash FROM accounts WHERE id = :id
