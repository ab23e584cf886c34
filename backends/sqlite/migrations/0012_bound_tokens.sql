-- The format of tokens. pierre_meta's row token_format says `binding` while the tokens are being
-- bound to their users and providers, and `bound` from then on; without it they have the old format.
-- In such a database nobody may store a token of the old format, or a session token that is no hash:
-- it would not be read. Built-in functions only, so that every program's SQLite runs the triggers.

CREATE TRIGGER pierre_users_strava_bound
BEFORE UPDATE OF strava_access_token, strava_refresh_token ON users
WHEN (substr(new.strava_access_token, 1, 3) <> 'v2:'
    OR substr(new.strava_refresh_token, 1, 3) <> 'v2:')
  AND EXISTS (SELECT 1 FROM pierre_meta WHERE key = 'token_format')
BEGIN SELECT RAISE(ABORT, 'the tokens of this database are bound: only pierre-dbd can store them');
END;
CREATE TRIGGER pierre_users_fitbit_bound
BEFORE UPDATE OF fitbit_access_token, fitbit_refresh_token ON users
WHEN (substr(new.fitbit_access_token, 1, 3) <> 'v2:'
    OR substr(new.fitbit_refresh_token, 1, 3) <> 'v2:')
  AND EXISTS (SELECT 1 FROM pierre_meta WHERE key = 'token_format')
BEGIN SELECT RAISE(ABORT, 'the tokens of this database are bound: only pierre-dbd can store them');
END;
CREATE TRIGGER pierre_users_bound BEFORE INSERT ON users
WHEN (substr(new.strava_access_token, 1, 3) <> 'v2:'
    OR substr(new.strava_refresh_token, 1, 3) <> 'v2:'
    OR substr(new.fitbit_access_token, 1, 3) <> 'v2:'
    OR substr(new.fitbit_refresh_token, 1, 3) <> 'v2:')
  AND EXISTS (SELECT 1 FROM pierre_meta WHERE key = 'token_format')
BEGIN SELECT RAISE(ABORT, 'the tokens of this database are bound: only pierre-dbd can store them');
END;
CREATE TRIGGER pierre_a2a_sessions_hashed BEFORE INSERT ON a2a_sessions
WHEN substr(new.session_token, 1, 7) <> 'sha256:'
  AND EXISTS (SELECT 1 FROM pierre_meta WHERE key = 'token_format')
BEGIN SELECT RAISE(ABORT, 'session tokens of this database are stored as hashes only');
END;
CREATE TRIGGER pierre_a2a_sessions_rehashed BEFORE UPDATE OF session_token ON a2a_sessions
WHEN substr(new.session_token, 1, 7) <> 'sha256:'
  AND EXISTS (SELECT 1 FROM pierre_meta WHERE key = 'token_format')
BEGIN SELECT RAISE(ABORT, 'session tokens of this database are stored as hashes only');
END;
