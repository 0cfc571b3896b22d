-- Running totals of the current database, and how far its write-ahead log has come.
-- Returns one row: wal_bytes (since the cluster's beginning), writes (transactions that wrote; the id counter moves at
-- once), commits (of all kinds; a session hands its count over once a second at most), rollbacks, blocks_read,
-- blocks_hit, deadlocks, temp_bytes. Tables written: none.
select (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end
           - '0/0')::bigint as wal_bytes,
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint as writes,
       d.xact_commit as commits, d.xact_rollback as rollbacks, d.blks_read as blocks_read, d.blks_hit as blocks_hit,
       d.deadlocks, d.temp_bytes
  from pg_stat_database d
 where d.datname = current_database()
