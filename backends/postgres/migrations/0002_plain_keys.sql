-- Plain unique keys, such as `UNIQUE (email)`, replace indexes on two digests of each text. The
-- digests allowed texts of any length; identifiers now have at most 1,024 bytes, which fit into a
-- B-tree's key.
--
-- A longer existing value is reported by table and row, before anything changes. While the indexes
-- are created, rows can be read; writes wait. The error names the key whose index was created
-- first: e-mail and name before id, as on SQLite. So the primary key of users is recreated after
-- the e-mail's, with all foreign keys that refer to it, including those of other owners.

LOCK TABLE users, api_keys, a2a_clients IN SHARE MODE;

DO $$
DECLARE
  found TEXT;
BEGIN
  WITH long (place, t, c, k, first, n) AS (
    SELECT 1, 'users', 'email', 'id', min(id::text), count(*)
      FROM users WHERE octet_length(email) > 1024
    UNION ALL
    SELECT 2, 'api_keys', 'id', 'number', min(number)::text, count(*)
      FROM api_keys WHERE octet_length(id) > 1024
    UNION ALL
    SELECT 3, 'api_keys', 'name', 'number', min(number)::text, count(*)
      FROM api_keys WHERE octet_length(name) > 1024
    UNION ALL
    SELECT 4, 'api_keys', 'key_prefix', 'number', min(number)::text, count(*)
      FROM api_keys WHERE octet_length(key_prefix) > 1024
    UNION ALL
    SELECT 5, 'a2a_clients', 'id', 'number', min(number)::text, count(*)
      FROM a2a_clients WHERE octet_length(id) > 1024
    UNION ALL
    SELECT 6, 'a2a_clients', 'name', 'number', min(number)::text, count(*)
      FROM a2a_clients WHERE octet_length(name) > 1024)
  SELECT string_agg(format('%s.%s in %s rows (the first: %s %s)', t, c, n, k, first),
      ', ' ORDER BY place)
    INTO found FROM long WHERE n > 0;
  IF found IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'PD001',
      MESSAGE = format('values of more than 1024 bytes: %s; shorten them first', found);
  END IF;
END $$;

CREATE UNIQUE INDEX users_email_plain ON users (email);
CREATE UNIQUE INDEX users_id_plain ON users (id);
CREATE UNIQUE INDEX api_keys_user_id_name_plain ON api_keys (user_id, name);
CREATE UNIQUE INDEX api_keys_id_plain ON api_keys (id);
CREATE INDEX api_keys_key_prefix ON api_keys (key_prefix);
CREATE UNIQUE INDEX a2a_clients_name_plain ON a2a_clients (name);
CREATE UNIQUE INDEX a2a_clients_id_plain ON a2a_clients (id);

DROP INDEX users_email_key, api_keys_user_id_name_key, api_keys_id_key, api_keys_prefix,
  a2a_clients_name_key, a2a_clients_id_key;
ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE USING INDEX users_email_plain;
ALTER TABLE api_keys ADD CONSTRAINT api_keys_user_id_name_key
  UNIQUE USING INDEX api_keys_user_id_name_plain;
ALTER TABLE api_keys ADD CONSTRAINT api_keys_id_key UNIQUE USING INDEX api_keys_id_plain;
ALTER TABLE a2a_clients ADD CONSTRAINT a2a_clients_name_key
  UNIQUE USING INDEX a2a_clients_name_plain;
ALTER TABLE a2a_clients ADD CONSTRAINT a2a_clients_id_key UNIQUE USING INDEX a2a_clients_id_plain;

DO $$
DECLARE
  drops TEXT[];
  makes TEXT[];
  step TEXT;
BEGIN
  SELECT array_agg(format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)
      ORDER BY oid),
    array_agg(format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname,
      pg_get_constraintdef(oid)) ORDER BY oid)
    INTO drops, makes FROM pg_constraint
    WHERE contype = 'f' AND confrelid = 'users'::regclass AND conindid = 'users_pkey'::regclass
      AND conparentid = 0;
  FOREACH step IN ARRAY drops LOOP
    EXECUTE step;
  END LOOP;
  ALTER TABLE users DROP CONSTRAINT users_pkey;
  ALTER TABLE users ADD CONSTRAINT users_pkey PRIMARY KEY USING INDEX users_id_plain;
  FOREACH step IN ARRAY makes LOOP
    EXECUTE step;
  END LOOP;
END $$;
