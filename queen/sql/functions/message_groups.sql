-- message_groups(partition_id, offset) → the groups with a cursor in the partition, by name
--   consumed      the group has passed the offset
--   lease_until   when the lease ends under which the group has it; null without one
create or replace function message_groups(p_partition_id bigint, p_offset bigint)
returns table (consumer_group text, consumed boolean, lease_until timestamptz)
language sql stable set search_path from current as $$
    select c.consumer_group, p_offset >= 0 and c.acked >= p_offset,
           case when p_offset > c.acked and p_offset <= c.lease_end and c.lease_id is not null and c.lease_until > now()
                then c.lease_until end
      from cursors c
     where c.partition_id = p_partition_id
     order by c.consumer_group
     limit 1000
$$;
