-- partitions_behind(queue_id, after, limit) → partition_ids, last_queue_id
-- One page of all partitions by queue and id: up to `limit` behind partition `after` of the queue, and whose the last is.
-- The page is a range of (queue, partition) without a sort, as in ready_partitions(). A function of its own, so that the
-- settings that keep it so touch nothing else.
create or replace function partitions_behind(p_queue_id integer, p_after bigint, p_limit integer)
returns table (partition_ids bigint[], last_queue_id integer)
language sql stable set search_path from current set enable_seqscan = off
    set enable_sort = off set enable_incremental_sort = off as $$
    select array_agg(x.partition_id), max(x.queue_id)
      from (select t.queue_id, t.partition_id from partitions t
             where (t.queue_id, t.partition_id) > (p_queue_id, p_after)
             order by t.queue_id, t.partition_id limit p_limit) x
$$;
