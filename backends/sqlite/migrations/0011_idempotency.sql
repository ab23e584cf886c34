-- The answers of writes that came with an idempotency key, by the user of the socket. The ids
-- follow the order in which the keys came: the oldest are removed first, without an index on the
-- time.

CREATE TABLE idempotency_keys (
  id INTEGER PRIMARY KEY, uid INTEGER NOT NULL, key TEXT NOT NULL, method TEXT NOT NULL,
  digest TEXT NOT NULL, answer TEXT, created_us INTEGER NOT NULL, UNIQUE (uid, key));
