-- queue_stats(queue_ids)
-- Totals of several queues, against the slowest group of each partition. retained_bytes is an estimate: the kept messages
-- times what a message of this database takes on average (see message_bytes).
create or replace function queue_stats(p_queue_ids integer[])
returns table (queue_id integer, partitions bigint, total bigint, pending bigint, processing bigint, dead_letters bigint,
               retained_bytes bigint)
language sql stable set search_path from current as $$
    select p.queue_id, count(*) as partitions, sum(p.next_offset - p.first_offset)::bigint as total,
           sum(p.next_offset - 1 - coalesce(c.slowest, p.first_offset - 1))::bigint as pending,
           coalesce(sum(c.processing), 0)::bigint as processing,
           (select count(*) from dead_letters d where d.queue_id = p.queue_id) as dead_letters,
           (sum(p.next_offset - p.first_offset) * coalesce((select message_bytes()), 0))::bigint as retained_bytes
      from partitions p
      left join lateral (
            select greatest(min(t.acked), p.first_offset - 1) as slowest,
                   sum(t.lease_end - t.acked) filter (where t.lease_id is not null and t.lease_until > now())::bigint
                        as processing
              from cursors t where t.partition_id = p.partition_id) c on true
     where p.queue_id = any (p_queue_ids)
     group by p.queue_id
$$;
