-- look_at_epochs() → one row per epoch, oldest first: all that a decision on rotation and leaving needs
--   age_ms, closed_ms     since it was opened, since it was closed (null for the newest)
--   recorded, emptied     is it known what it holds; does it hold nothing
--   newest_bytes          size of the newest child without its indexes; the same in every row
--   window_s              the longest deduplication window in use; the same in every row
--   expiring              has some queue a retention option; the same in every row
create or replace function look_at_epochs()
returns table (epoch integer, age_ms bigint, closed_ms bigint, recorded boolean, emptied boolean, newest_bytes bigint,
               window_s integer, expiring boolean)
language sql stable set search_path from current set enable_seqscan = off as $$
    select e.epoch, (extract(epoch from now() - e.opened_at) * 1000)::bigint,
           (extract(epoch from now() - e.closed_at) * 1000)::bigint, e.recorded_at is not null, e.emptied_at is not null,
           n.bytes, n.window_s, n.expiring
      from epochs e,
           (select pg_table_size(to_regclass('messages_' || (select max(epoch) from epochs))) as bytes,
                   coalesce((select max(dedup_window_s) from queues), 0) as window_s,
                   exists (select from queues where options ?| array['retentionEnabled', 'maxWaitTimeSeconds'])
                        as expiring) n
     order by e.epoch
$$;
