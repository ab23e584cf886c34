-- A user's keys in their order: pages of them begin behind any one.

CREATE INDEX idx_api_keys_user_time ON api_keys(user_id, created_us, id);
