-- count_queues(partition_ids) → rows of queue_stats: these partitions' numbers by queue, against the slowest group of each
-- `processing` is what that group has under a live lease; of equally slow ones, that with the fewest.
-- From counters and cursors, no message is read. Dead letters, bytes and the oldest are left to the caller.
create or replace function count_queues(p_partition_ids bigint[]) returns setof queue_stats
language sql stable set search_path from current set enable_seqscan = off as $$
    select n.queue_id, now(), count(*), sum(n.total)::bigint, sum(n.pending)::bigint, sum(n.processing)::bigint,
           count(*) filter (where n.pending > 0), count(*) filter (where n.pending > n.processing), 0::bigint, 0::bigint,
           null::timestamptz
      from (select p.queue_id, p.next_offset - p.first_offset as total,
                   p.next_offset - 1 - coalesce(c.slowest[1], p.first_offset - 1) as pending,
                   coalesce(c.slowest[2], 0) as processing
              from partitions p
              left join lateral (
                    select min(array[l.place, case when t.lease_id is not null and t.lease_until > now()
                                                   then greatest(t.lease_end - l.place, 0) else 0 end]) as slowest
                      from cursors t
                     cross join lateral (select greatest(t.acked, p.first_offset - 1) as place) l
                     where t.partition_id = p.partition_id) c on true
             where p.partition_id = any (p_partition_ids)) n
     group by n.queue_id
$$;
