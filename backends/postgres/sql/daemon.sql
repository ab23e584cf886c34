-- Every answered commit has been flushed, except with synchronous_commit = off: then the end of the
-- log counts. The server reports that end behind the header of the next page (24 bytes, or 40 where
-- a segment begins), which no standby reaches before another record is written.
--
-- A standby does not tell its timeline; that of the control file may be older.
-- name: daemon.position
SELECT concat_ws('-', CASE WHEN standby THEN 'standby' ELSE 'primary' END,
  (SELECT to_hex(system_identifier) FROM pg_control_system()),
  (SELECT to_hex(oid::bigint) FROM pg_database WHERE datname = current_database()),
  CASE WHEN standby
    THEN (SELECT to_hex(greatest(c.timeline_id, r.min_recovery_end_timeline))
      FROM pg_control_checkpoint() AS c, pg_control_recovery() AS r)
    ELSE lower(substr(pg_walfile_name(lsn), 1, 8)) END,
  to_hex((lsn - '0/0'::pg_lsn - CASE WHEN NOT unflushed THEN 0
    WHEN mod(lsn - '0/0'::pg_lsn, current_setting('wal_block_size')::numeric) = 24 THEN 24
    WHEN mod(lsn - '0/0'::pg_lsn, pg_size_bytes(current_setting('wal_segment_size'))) = 40 THEN 40
    ELSE 0 END)::bigint)) AS result
FROM (SELECT standby, unflushed, CASE
    WHEN standby THEN COALESCE(pg_last_wal_replay_lsn(), '0/0')
    WHEN unflushed THEN pg_current_wal_insert_lsn()
    ELSE pg_current_wal_flush_lsn() END AS lsn
  FROM (SELECT pg_is_in_recovery() AS standby,
    current_setting('synchronous_commit') = 'off' AS unflushed) AS settings) AS server
