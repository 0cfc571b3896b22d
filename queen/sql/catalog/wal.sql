-- What the cluster's write-ahead log took, PostgreSQL 14 to 17.
-- Returns one row of running totals: full_page_images, wal_buffers_full, fsyncs, fsync_ms (null unless
-- track_wal_io_timing is on). Tables written: none.
select wal_fpi as full_page_images, wal_buffers_full, wal_sync as fsyncs,
       case when current_setting('track_wal_io_timing')::boolean then wal_sync_time end as fsync_ms
  from pg_stat_wal
