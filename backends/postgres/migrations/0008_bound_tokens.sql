-- The format of tokens: 1 the old one, 2 they are being bound to their users and providers, 3 all
-- of them are bound. From 2 on nobody may store a token of the old format, or a session token that
-- is no hash: it would not be read. A sequence, because every writer must see it at once, even in a
-- transaction that began before.
CREATE SEQUENCE token_format MAXVALUE 3;
GRANT SELECT ON token_format TO PUBLIC;
SELECT setval('token_format',
  CASE WHEN EXISTS (SELECT 1 FROM pierre_migrations WHERE version = 0) THEN 3 ELSE 1 END);

-- The daemon that sees this error follows the format and stores the token again.
CREATE FUNCTION refuse_unbound() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'PD003',
    MESSAGE = 'the tokens of this database are bound: this server is too old to store them';
END $$;

CREATE TRIGGER users_strava_bound
  AFTER INSERT OR UPDATE OF strava_access_token, strava_refresh_token ON users FOR EACH ROW
  WHEN ((left(NEW.strava_access_token, 3) <> 'v2:' OR left(NEW.strava_refresh_token, 3) <> 'v2:')
    AND pg_sequence_last_value('token_format') > 1)
  EXECUTE FUNCTION refuse_unbound();
CREATE TRIGGER users_fitbit_bound
  AFTER INSERT OR UPDATE OF fitbit_access_token, fitbit_refresh_token ON users FOR EACH ROW
  WHEN ((left(NEW.fitbit_access_token, 3) <> 'v2:' OR left(NEW.fitbit_refresh_token, 3) <> 'v2:')
    AND pg_sequence_last_value('token_format') > 1)
  EXECUTE FUNCTION refuse_unbound();
CREATE TRIGGER a2a_sessions_hashed
  AFTER INSERT OR UPDATE OF session_token ON a2a_sessions FOR EACH ROW
  WHEN (left(NEW.session_token, 7) <> 'sha256:' AND pg_sequence_last_value('token_format') > 1)
  EXECUTE FUNCTION refuse_unbound();
