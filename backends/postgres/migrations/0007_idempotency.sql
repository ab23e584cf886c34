-- The answers of writes that came with an idempotency key, by the user of the socket.

CREATE TABLE idempotency_keys (
  uid BIGINT NOT NULL, key TEXT COLLATE "C" NOT NULL, method TEXT NOT NULL, digest TEXT NOT NULL,
  answer TEXT, created_us BIGINT NOT NULL,
  CONSTRAINT idempotency_keys_pkey PRIMARY KEY (uid, key));
CREATE INDEX idempotency_keys_time ON idempotency_keys (created_us);
