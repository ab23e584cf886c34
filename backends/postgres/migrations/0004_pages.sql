-- A user's keys in their order: pages of them begin behind any one.

CREATE INDEX api_keys_user_time ON api_keys (user_id, created_at, id);
