-- What the cluster's write-ahead log took, from PostgreSQL 18 on, where its fsyncs are counted in pg_stat_io.
-- Returns one row of running totals: full_page_images, wal_buffers_full, fsyncs, fsync_ms (null unless
-- track_wal_io_timing is on). Tables written: none.
select w.wal_fpi as full_page_images, w.wal_buffers_full, i.fsyncs,
       case when current_setting('track_wal_io_timing')::boolean then i.fsync_ms end as fsync_ms
  from pg_stat_wal w,
       (select sum(fsyncs)::bigint as fsyncs, sum(fsync_time) as fsync_ms from pg_stat_io where object = 'wal') i
