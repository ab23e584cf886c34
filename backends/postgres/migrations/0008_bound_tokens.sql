-- The format of tokens. pierre_meta's row token_format says `binding` while the tokens are being
-- bound to their users and providers, and `bound` from then on; without it they have the old
-- format.
--
-- The sequence says the same as 1, 2 and 3, because every writer must see it at once, even in a
-- transaction that began before. It follows the row, whose right the daemons have.
CREATE SEQUENCE token_format MAXVALUE 3;
GRANT SELECT ON token_format TO PUBLIC;
SELECT setval('token_format',
  CASE WHEN EXISTS (SELECT 1 FROM pierre_meta WHERE key = 'token_format') THEN 3 ELSE 1 END);

CREATE FUNCTION follow_token_format() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  PERFORM setval('token_format', CASE NEW.value WHEN 'bound' THEN 3 WHEN 'binding' THEN 2 END);
  RETURN NULL;
END $$;
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION %I.follow_token_format() SET search_path = %I, pg_temp',
    current_schema(), current_schema());
END $$;
CREATE TRIGGER pierre_meta_token_format
  AFTER INSERT OR UPDATE OF value ON pierre_meta FOR EACH ROW
  WHEN (NEW.key = 'token_format')
  EXECUTE FUNCTION follow_token_format();

-- Refuses what a daemon stores that does not know of the change. It follows the format then, and
-- stores the token again.
CREATE FUNCTION refuse_unbound() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'PD003',
    MESSAGE = 'the tokens of this database are bound: this server is too old to store them';
END $$;
CREATE FUNCTION is_unbound(TEXT, TEXT) RETURNS BOOLEAN LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
  'SELECT $1 ~ ''^[A-Za-z0-9+/]{22,}=*$'' AND $2 ~ ''^[A-Za-z0-9+/]{22,}=*$''';

CREATE TRIGGER users_strava_bound AFTER UPDATE OF strava_nonce ON users FOR EACH ROW
  WHEN (pg_sequence_last_value('token_format') > 1
    AND is_unbound(NEW.strava_access_token, NEW.strava_refresh_token))
  EXECUTE FUNCTION refuse_unbound();
CREATE TRIGGER users_fitbit_bound AFTER UPDATE OF fitbit_nonce ON users FOR EACH ROW
  WHEN (pg_sequence_last_value('token_format') > 1
    AND is_unbound(NEW.fitbit_access_token, NEW.fitbit_refresh_token))
  EXECUTE FUNCTION refuse_unbound();
CREATE TRIGGER a2a_sessions_hashed AFTER INSERT ON a2a_sessions FOR EACH ROW
  WHEN (pg_sequence_last_value('token_format') > 1
    AND NEW.session_token ~ '^[A-Za-z0-9_-]{43}$')
  EXECUTE FUNCTION refuse_unbound();
