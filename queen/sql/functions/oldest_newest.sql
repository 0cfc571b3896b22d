-- oldest_newest(partition_ids)
-- When the oldest and the newest kept message of each partition were stored.
create or replace function oldest_newest(p_partition_ids bigint[])
returns table (partition_id bigint, oldest timestamptz, newest timestamptz)
language sql stable set search_path from current as $$
    select p.partition_id, o.created_at as oldest, p.last_write_at as newest
      from partitions p
      left join lateral (
            select m.created_at from messages m
             where m.partition_id = p.partition_id and m."offset" >= p.first_offset
             order by m.partition_id, m."offset" limit 1) o on true
     where p.partition_id = any (p_partition_ids) and p.next_offset > p.first_offset
$$;
