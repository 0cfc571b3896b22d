-- Every setting that is not at its default, and the few that belong beside any figure.
-- Returns (name, setting, unit, vartype, source) by name. Tables written: none.
select name, setting, unit, vartype, source
  from pg_settings
 where (source not in ('default', 'override', 'session', 'client') and setting is distinct from boot_val)
    or name in ('fsync', 'synchronous_commit', 'full_page_writes', 'wal_level', 'wal_sync_method', 'wal_buffers',
                'max_wal_size', 'checkpoint_timeout', 'shared_buffers', 'max_connections', 'data_checksums',
                'wal_compression', 'commit_delay', 'jit', 'autovacuum', 'huge_pages')
 order by name
