-- What the generator must know of the tables.
CREATE TABLE IF NOT EXISTS owners (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS things (
  id TEXT PRIMARY KEY, label TEXT NOT NULL DEFAULT 'a, b (c)', number INTEGER, colour TEXT, tags TEXT, owner TEXT REFERENCES owners(id),
  made_at TEXT, note TEXT, body TEXT, width REAL, unit TEXT, document TEXT, name TEXT, changed_at TEXT, tip TEXT, UNIQUE (label));
CREATE TABLE IF NOT EXISTS tokens (
  user_id TEXT PRIMARY KEY, access_token TEXT, refresh_token TEXT, nonce TEXT);
CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, password_hash TEXT);
