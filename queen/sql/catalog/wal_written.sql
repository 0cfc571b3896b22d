-- How much write-ahead log the cluster wrote since its counters were set to zero.
-- Returns one row: wal_bytes, full_page_images, block_bytes, seconds. Tables written: none.
select wal_bytes::float8 as wal_bytes, wal_fpi as full_page_images, current_setting('block_size')::int as block_bytes,
       extract(epoch from clock_timestamp() - stats_reset)::float8 as seconds
  from pg_stat_wal
