-- Profiles: the document as JSONB, and also as text where JSONB would alter a number.

-- name: upsert_user_profile
INSERT INTO user_profiles (user_id, document, document_exact, created_at, updated_at)
VALUES (:user_id, :profile_data, :profile_data_exact, :now, :now)
ON CONFLICT (user_id) DO UPDATE SET
  document = excluded.document, document_exact = excluded.document_exact,
  updated_at = excluded.updated_at

-- name: get_user_profile
SELECT COALESCE(document_exact, document::text) AS result FROM user_profiles
  WHERE user_id = :user_id
