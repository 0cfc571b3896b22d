-- partition_stats(queue_id, limit, offset)
-- Numbers of one page of a queue's partitions, against the slowest group. From counters and cursors, no message is read.
create or replace function partition_stats(p_queue_id integer, p_limit integer, p_offset integer)
returns table (partition_id bigint, name text, created_at timestamptz, total bigint, pending bigint, processing bigint, dead_letters bigint, newest timestamptz)
language sql stable set search_path from current as $$
    select p.partition_id, p.name, p.created_at, p.next_offset - p.first_offset as total,
           p.next_offset - 1 - coalesce(c.slowest, p.first_offset - 1) as pending, coalesce(c.processing, 0) as processing,
           d.dead_letters, nullif(p.last_write_at, '-infinity')
      from (select * from partitions where queue_id = p_queue_id order by name limit p_limit offset p_offset) p
      left join lateral (
            select greatest(min(t.acked), p.first_offset - 1) as slowest,
                   sum(t.lease_end - t.acked) filter (where t.lease_id is not null and t.lease_until > now())::bigint
                        as processing
              from cursors t where t.partition_id = p.partition_id) c on true
      left join lateral (
            select count(*) as dead_letters from dead_letters x where x.partition_id = p.partition_id) d on true
     order by p.name
$$;
