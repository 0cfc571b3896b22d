-- undelivered(queue_ids, afters, limit) → what is needed to know how full these queues are
--
-- Looks at `limit` partitions of each queue, those with an id above the queue's entry in `afters`. One row per queue, one
-- per group that has a cursor in these partitions, and one per group that is registered on the queue:
--   consumer_group   null in the queue's own row
--   messages         of the queue: those that are kept. Of a group: those of them that it does not wait for, because it has
--                    settled them, or holds them under a live lease. It waits for all in a partition where it has no
--                    cursor: that came after its registration
--   last             in the queue's own row: the partition to go on after, null when all were looked at
-- What the slowest group waits for is the first number less the smallest of the second (0 when there is no group), both
-- added up over all pages. From counters and cursors; no message is read. The bounds of a page are written as those of
-- ready_partitions(), for its reasons.
create or replace function undelivered(p_queue_ids integer[], p_afters bigint[], p_limit integer)
returns table (queue_id integer, consumer_group text, messages bigint, last bigint)
language sql stable set search_path from current
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
    set enable_sort = off set enable_incremental_sort = off as $$
    with page as materialized (
        select u.queue_id, p.*
          from unnest(p_queue_ids, p_afters) u (queue_id, after)
         cross join lateral (
                select t.partition_id, t.first_offset, t.next_offset from partitions t
                 where (t.queue_id, t.partition_id) > (u.queue_id, u.after) and t.queue_id <= u.queue_id
                 order by t.queue_id, t.partition_id limit p_limit) p
    )
    select p.queue_id, null::text, sum(p.next_offset - p.first_offset)::bigint,
           case when count(*) >= p_limit then max(p.partition_id) end
      from page p
     group by p.queue_id
     union all
    select p.queue_id, c.consumer_group, sum(greatest(c.passed - p.first_offset + 1, 0))::bigint, null::bigint
      from page p
     cross join lateral (
            select t.consumer_group,
                   case when t.lease_id is not null and t.lease_until > now() then greatest(t.acked, t.lease_end)
                        else t.acked end as passed
              from cursors t where t.partition_id = p.partition_id) c
     group by p.queue_id, c.consumer_group
     union all
    select u.queue_id, s.consumer_group, 0, null::bigint
      from unnest(p_queue_ids) u (queue_id)
     cross join lateral (select t.consumer_group from subscriptions t where t.queue_id = u.queue_id) s
$$;
