-- browse_partitions(partition_ids, status, from, to, limit) → messages of these partitions, newest first
--   status      pending, processing or completed: a range of offsets between cursor and lease; scheduled; null: any
--   from, to    stored at or after, and before; null: no bound
-- Columns: partition_id, "offset", epoch, created_at. Exact: ranges of the primary key, of each partition no more than
-- `limit`, merged by the time of storing.
create or replace function browse_partitions(
    p_partition_ids bigint[], p_status text, p_from timestamptz, p_to timestamptz, p_limit integer
) returns table (partition_id bigint, "offset" bigint, epoch integer, created_at timestamptz)
language sql stable set search_path from current set enable_seqscan = off set enable_hashjoin = off
    set enable_mergejoin = off as $$
    select k.partition_id, k."offset", k.epoch, k.created_at
      from (select w.partition_id, n.*
              from (select p.partition_id,
                           greatest(p.first_offset,
                                    case p_status when 'pending' then g.given + 1 when 'processing' then g.done + 1
                                                  else 0 end) as low,
                           least(p.next_offset,
                                 case p_status when 'completed' then g.done + 1 when 'processing' then g.given + 1 end,
                                 case when p_to <= p.last_write_at then offset_at(p.partition_id, p_to) end) as high
                      from unnest(p_partition_ids) u (id)
                     cross join lateral (select * from partitions t where t.partition_id = u.id) p
                     cross join lateral (
                            select c.done, greatest(c.done, c.given) as given
                              from (select coalesce(max(t.acked) filter (where t.consumer_group = '__QUEUE_MODE__'),
                                                    min(t.acked), -1) as done,
                                           coalesce(max(t.lease_end) filter (where t.consumer_group = '__QUEUE_MODE__'
                                                                and t.lease_id is not null and t.lease_until > now()),
                                                    case when not bool_or(t.consumer_group = '__QUEUE_MODE__') then
                                                        max(t.lease_end) filter (
                                                            where t.lease_id is not null and t.lease_until > now())
                                                    end) as given
                                      from cursors t where t.partition_id = u.id) c) g
                     where p_status is distinct from 'scheduled') w
             cross join lateral newest_keys(w.partition_id, w.low, w.high, p_from, p_limit) n
             union all
            select u.id, s."offset", s.epoch, s.created_at
              from unnest(p_partition_ids) u (id)
             cross join lateral scheduled_keys(u.id, p_limit) s
             where coalesce(p_status, 'scheduled') = 'scheduled'
               and (p_from is null or s.created_at >= p_from) and (p_to is null or s.created_at < p_to)) k
     order by k.created_at desc, k.partition_id desc, k."offset" desc
     limit p_limit
$$;
