-- ready_partitions(queue_id, group, after, limit)
-- One page of a queue's partitions, with what a group would find there. The caller goes on after the last id.
-- The bounds are written as a range of (queue, partition), which only the index on both can follow: given as an equality
-- and an order, the planner may walk the partitions of all queues in the order of their ids. Without sorts, it cannot
-- read and sort the whole queue for a page either, which it would while there are no statistics.
create or replace function ready_partitions(p_queue_id integer, p_group text, p_after bigint, p_limit integer)
returns table (partition_id bigint, name text, epoch integer, head bigint, acked bigint, held_ms bigint)
language sql stable set search_path from current set enable_seqscan = off
    set enable_sort = off set enable_incremental_sort = off as $$
    select p.partition_id, p.name, p.epoch, p.next_offset, c.acked,
           case when c.lease_until > now() then ceil(extract(epoch from c.lease_until - now()) * 1000)::bigint end as held_ms
      from partitions p
      left join cursors c on c.partition_id = p.partition_id and c.consumer_group = p_group
     where (p.queue_id, p.partition_id) > (p_queue_id, p_after) and p.queue_id <= p_queue_id
     order by p.queue_id, p.partition_id
     limit p_limit
$$;
