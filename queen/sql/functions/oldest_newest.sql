-- oldest_newest(partition_ids)
-- When the oldest and the newest kept message of each partition were stored.
create or replace function oldest_newest(p_partition_ids bigint[])
returns table (partition_id bigint, oldest timestamptz, newest timestamptz)
language sql stable set search_path from current as $$
    select p.partition_id, stored_at(p.partition_id, p.first_offset), p.last_write_at
      from partitions p
     where p.partition_id = any (p_partition_ids) and p.next_offset > p.first_offset
$$;
