-- What kind of PostgreSQL this is.
-- Returns one row: version, build (with compiler and platform), in_recovery, encoding, collation, databases,
-- synchronous_standbys, standbys, backend_pid (differs from the client's when a pooler stands in between).
-- Tables written: none.
select current_setting('server_version') as version, version() as build, pg_is_in_recovery() as in_recovery,
       current_setting('server_encoding') as encoding, d.datcollate as collation,
       (select count(*) from pg_database) as databases,
       (select count(*) from pg_stat_replication where sync_state in ('sync', 'quorum')) as synchronous_standbys,
       (select count(*) from pg_stat_replication) as standbys,
       pg_backend_pid() as backend_pid
  from pg_database d
 where d.datname = current_database()
